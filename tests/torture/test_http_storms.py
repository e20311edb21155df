"""HTTP actions under strain: a target that turns everybody away for a while, keys changed while secrets are sent."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import date

import pytest

from tests.cluster.field import Field, eventually
from tests.support.profile import IS_LONG
from tests.support.targets import Received, Town, plain
from timers.security.encryption import new_key

pytestmark = [pytest.mark.torture, pytest.mark.django_db(transaction=True)]

WEBHOOKS = 2_000
SPREAD = 10.0
AWAY = 20.0 if IS_LONG else 12.0
"""Seconds for which the target answers 503."""
MIN_BACKOFF, MAX_BACKOFF, JITTER = 4.0, 8.0, 0.5
PER_TARGET, TAKES = 10, 0.01
"""Calls that a worker makes to the target at once, and seconds that each takes."""
SECRETS = 10_000 if IS_LONG else 2_000
CALLS = 2_000 if IS_LONG else 1_500
CALLS_A_SECOND = 100


@pytest.mark.alone
def test_after_a_target_was_away_its_retries_do_not_come_all_at_once(calling: Field, here: Town) -> None:
    came: list[float] = []
    back, at_once = [0.0], Counter[str]()
    away, answers = plain("503 Service Unavailable"), plain()

    async def answer(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(time.monotonic())
        back[0] = back[0] or came[0] + AWAY
        at_once["now"] += 1
        at_once["most"] = max(at_once["most"], at_once["now"])
        await asyncio.sleep(TAKES)
        await (away if came[-1] < back[0] else answers)(request, reader, writer)
        at_once["now"] -= 1

    target = here.target(answer)
    calling.settings["TIMERS_HTTP_PER_TARGET"] = str(PER_TARGET)
    calling.start("a", "--workers", "2")
    retry = {"low": MIN_BACKOFF, "high": MAX_BACKOFF, "jitter": JITTER}
    calling.run(_STORM.format(url=target.url, count=WEBHOOKS, spread=SPREAD, **retry))
    calling.wait_until_succeeded(WEBHOOKS, within=AWAY + MAX_BACKOFF * (1 + JITTER) + 30)

    retries = [
        float(at)
        for (at,) in calling.rows(
            "SELECT extract(epoch FROM started_at) FROM timers_attempt WHERE attempt > 1 ORDER BY 1"
        )
    ]
    bins = Counter(int(at - retries[0]) for at in retries)
    mean = len(retries) / (int(retries[-1] - retries[0]) + 1)
    assert max(bins.values()) <= 3 * mean, sorted(bins.items())
    assert 1 < at_once["most"] <= 2 * PER_TARGET, "each worker keeps within the cap of the target"
    assert came[-1] <= back[0] + MAX_BACKOFF * (1 + JITTER) + 5
    assert calling.value("SELECT count(*) FROM timers_attempt WHERE outcome = 'error'") == len(came) - WEBHOOKS
    calling_once = "SELECT count(DISTINCT timer_id) FROM timers_attempt WHERE outcome = 'succeeded'"
    assert calling.value(calling_once) == WEBHOOKS


def test_thousands_of_secrets_are_encrypted_anew_while_they_are_sent(calling: Field, here: Town) -> None:
    target = here.target(plain())
    old, new = new_key(date(2026, 1, 1)), new_key(date(2026, 2, 1))
    calling.settings["TIMERS_ENCRYPTION_KEYS"] = old
    calling.run(_SECRETS.format(count=SECRETS))
    calling.settings["TIMERS_ENCRYPTION_KEYS"] = f"{new},{old}"
    calling.start("a", "--workers", "1")
    calling.run(_CALLS.format(url=target.url, count=CALLS, of=SECRETS, seconds=CALLS / CALLS_A_SECOND))
    eventually(lambda: len(target.requests) > 100)

    said = calling.manage("rotatesecrets")

    assert f"{SECRETS:,} secrets encrypted again" in said
    before = len(target.requests)
    assert before < CALLS, "timers still fire"
    calling.wait_until_succeeded(CALLS)
    assert calling.rows("SELECT outcome, count(*) FROM timers_attempt GROUP BY 1") == [("succeeded", CALLS)]
    names = dict(calling.rows("SELECT id, name FROM timers_timer"))
    sent = Counter(str(request.header("Authorization")) for request in target.requests)
    assert sent == Counter(f"Bearer value-{name}" for name in names.values())
    # The old key can go.
    calling.settings["TIMERS_ENCRYPTION_KEYS"] = new
    calling.stop("a")
    calling.start("b", "--workers", "1")
    calling.run(_CALLS.format(url=target.url, count=100, of=SECRETS, seconds=1))
    calling.wait_until_succeeded(CALLS + 100)


_STORM = """
from timers.scheduling import ensure_group, schedule_many
retry = dict(max_retries=50, min_backoff={low}, max_backoff={high}, jitter={jitter})
ensure_group("storm", action=dict(kind="http", url={url!r}), retry=retry)
schedule_many([dict(kind="once", group="storm", name=f"{{n}}", after=1 + n * {spread} / {count})
               for n in range({count})])
"""

_SECRETS = """
from django.db import transaction
from timers.control.secrets import create_secret
with transaction.atomic():
    for number in range({count}):
        create_secret(f"{{number}}", f"value-{{number}}")
"""

_CALLS = """
from timers.scheduling import ensure_group, schedule_many
ensure_group("work", retry=dict(max_retries=0))
step = {of} // {count}
schedule_many([
    dict(kind="once", group="work", name=f"{{n * step}}", after=1 + n * {seconds} / {count},
         action=dict(kind="http", url={url!r}, auth=dict(kind="bearer", secret=f"{{n * step}}")))
    for n in range({count})])
"""
