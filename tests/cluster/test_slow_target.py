"""A target that never answers, called by the same nodes as one that does."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from standardwebhooks import Webhook

from tests.cluster.field import Field, eventually
from tests.support.targets import Town, hang, plain

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

MANY = 120


def test_signed_calls_of_two_nodes_come_once_each_and_a_slow_target_slows_no_other(calling: Field, here: Town) -> None:
    calling.settings["TIMERS_HTTP_PER_TARGET"] = "20"
    good, slow = here.target(plain("200 OK", b'{"ok":true}')), here.target(hang)
    secret = calling.manage("timersecret", "create", "key", "--kind", "signing", "--generate").strip()
    for name in ("a", "b"):
        calling.start(name, "--workers", "1", "--concurrency", "40")

    calling.run(_SCHEDULE.format(good=good.url, slow=slow.url, count=MANY))
    calling.wait_until_succeeded(MANY)

    assert Counter(request.header("webhook-id") for request in good.requests).most_common(1)[0][1] == 1
    assert len(good.requests) == MANY
    for request in good.requests:
        sent = Webhook(secret).verify(request.body, dict(request.headers))
        assert sent["ExecutionId"] == request.header("webhook-id")
        assert sent["Payload"] == {"number": int(sent["Name"].removeprefix("good-"))}
    kept, late = calling.rows(
        "SELECT exchange, extract(epoch FROM finished_at - scheduled_for)::float8 FROM timers_attempt"
        " WHERE outcome = 'succeeded' ORDER BY 2 DESC OFFSET %s LIMIT 1", MANY // 100,
    )[0]  # fmt: skip
    kept = kept if isinstance(kept, dict) else json.loads(kept)
    assert kept["response"] == {
        "status": 200,
        "phrase": "OK",
        "headers": {"Content-Length": "11"},
        "body": '{"ok":true}',
    }
    eventually(lambda: calling.value("SELECT count(*) FROM timers_attempt WHERE outcome = 'timeout'") == MANY, 60)
    slow_ones = "SELECT extract(epoch FROM min(finished_at - scheduled_for))::float8 FROM timers_attempt"
    first_timeout = calling.value(f"{slow_ones} WHERE outcome = 'timeout'")
    assert late < first_timeout, "no call of the good target waits for a slow one"
    assert slow.connections >= MANY
    assert "overran" not in calling.log("a") + calling.log("b"), "limits are kept without a worker being ended"


_SCHEDULE = """
from timers.scheduling import ensure_group, schedule_many
ensure_group("good", action=dict(kind="http", url={good!r}, sign="key"))
ensure_group("slow", action=dict(kind="http", url={slow!r}, timeout=4), retry=dict(max_retries=0))
schedule_many([dict(kind="once", group="slow", name=f"slow-{{n}}", after=0) for n in range({count})])
schedule_many([dict(kind="once", group="good", name=f"good-{{n}}", after=0, payload=dict(number=n))
               for n in range({count})])
"""
