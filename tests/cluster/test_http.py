"""Real nodes that call real targets: signed, each execution once, and a slow target slows no other."""

from __future__ import annotations

import gzip

import pytest

from tests.cluster.field import Field, eventually
from tests.support.targets import Town, hang, plain, raw, reset

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]


def test_bad_targets_hold_no_slot_past_their_deadline_and_slow_no_other(calling: Field, here: Town) -> None:
    calling.settings["TIMERS_HTTP_PER_TARGET"] = "20"
    bad = {
        "hanging": hang,
        "trickling": raw(b"HTTP/1.1 200 OK\r\nX: ", b"a", pause=0.05, forever=True),
        "slow-body": raw(b"HTTP/1.1 200 OK\r\n\r\n", b"x", pause=0.05, forever=True),
        "endless": raw(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536, forever=True),
        "resetting": reset,
        "bomb": plain("200 OK", gzip.compress(b"\0" * 50_000_000), Content_Encoding="gzip"),
    }
    urls = {name: here.target(answer).url for name, answer in bad.items()}
    good = here.target(plain())
    calling.start("a", "--workers", "1", "--concurrency", "100")

    calling.run(_BESIDE_BAD.format(bad=urls, good=good.url, each=40, good_ones=200))
    everything = len(bad) * 40 + 200
    eventually(lambda: calling.value("SELECT count(*) FROM timers_attempt") == everything, 60)

    longest = dict(
        calling.rows(
            "SELECT g.name, max(extract(epoch FROM finished_at - started_at))::float8 FROM timers_attempt a"
            " JOIN timers_timer_group g ON g.id = a.group_id GROUP BY 1"
        )
    )
    assert set(longest) == {*bad, "good"}
    assert all(seconds <= 1.5 for seconds in longest.values()), longest
    late = calling.value(
        "SELECT percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - scheduled_for)::float8)"
        " FROM timers_attempt a JOIN timers_timer_group g ON g.id = a.group_id AND g.name = 'good'"
        " WHERE outcome = 'succeeded'"
    )
    assert late <= 2, "the 99th percentile of the good target"
    assert len(good.requests) == 200
    assert "overran" not in calling.log("a")


def test_a_target_that_is_gone_pauses_its_timer(calling: Field, here: Town) -> None:
    target = here.target(plain("410 Gone"))
    calling.start("a", "--workers", "1")

    calling.run(_RECURRING.format(url=target.url))

    eventually(lambda: calling.value("SELECT state FROM timers_timer") == "paused")
    assert calling.value("SELECT state_reason FROM timers_timer") == (
        f"paused itself: 127.0.0.1:{target.port} says that it is gone (410)"
    )
    assert calling.value("SELECT state FROM timers_waiting") == "failed"


_BESIDE_BAD = """
from timers.scheduling import ensure_group, schedule_many
requests = []
for name, url in {bad!r}.items():
    ensure_group(name, action=dict(kind="http", url=url, timeout=1), retry=dict(max_retries=0))
    requests += [dict(kind="once", group=name, name=f"{{n}}", after=1) for n in range({each})]
ensure_group("good", action=dict(kind="http", url={good!r}))
requests += [dict(kind="once", group="good", name=f"{{n}}", after=1 + n / 100) for n in range({good_ones})]
schedule_many(requests)
"""
_RECURRING = """
from timers.scheduling import ensure_group, schedule_fixed_rate
ensure_group("work", action=dict(kind="http", url={url!r}))
schedule_fixed_rate("work", "gone", period=1)
"""
