"""Limits of groups over real nodes, one of which is killed: looked up in the ledger, instant by instant."""

from __future__ import annotations

from bisect import bisect_left
from datetime import timedelta
from itertools import accumulate
from typing import Any

import pytest

from tests.cluster.field import Field, eventually
from tests.support.profile import IS_LONG

pytestmark = [pytest.mark.torture, pytest.mark.django_db(transaction=True)]

BACKLOG = 100_000 if IS_LONG else 40_000

_GROUP = """
from timers.scheduling import ensure_group, schedule_many
retry = {{"max_retries": 20, "min_backoff": 0.1}}
ensure_group("limited", action={{"handler": {handler!r}}}, retry=retry, **{limits!r})
schedule_many([dict(kind="once", group="limited", name=str(n), after=0, payload={payload!r}) for n in range({count})])
"""
_KEYS = """
from timers.scheduling import ensure_group, schedule_many
retry = {"max_retries": 20, "min_backoff": 0.1}
ensure_group("limited", action={"handler": "cluster.slow"}, retry=retry, max_concurrency_per_key=2)
schedule_many([
    dict(kind="once", group="limited", name=f"{k}/{n}", after=0, payload=0.2, concurrency_key=str(k))
    for n in range(6) for k in range(100)
])
"""
_ONE_HUGE_KEY = """
from timers.scheduling import ensure_group, schedule_many, schedule_once
ensure_group("limited", action={"handler": "cluster.slow"}, max_concurrency_per_key=2)
for start in range(0, BACKLOG, 10_000):
    schedule_many([
        dict(kind="once", group="limited", name=f"huge-{n}", after=0, payload=30, concurrency_key="huge")
        for n in range(start, start + 10_000)
    ])
schedule_once("limited", "small", after=2, payload=0.01, concurrency_key="small")
"""
_STREAM = """
from timers.scheduling import ensure_group, schedule_once
ensure_group("limited", action={"handler": "cluster.slow"}, max_concurrency=5, max_timers=100_000)
for n in range(1_500):
    schedule_once("limited", str(n), after=0, payload=0.01)
"""

_NOISY_NEIGHBOUR = """
from datetime import timedelta
from timers import clock
from timers.scheduling import ensure_group, schedule_many
ensure_group("noisy", action={"handler": "cluster.slow"}, max_concurrency=12)
ensure_group("quiet", action={"handler": "cluster.count"})
for start in range(0, BACKLOG, 10_000):
    schedule_many([
        dict(kind="once", group="noisy", name=f"noisy-{n}", after=0, payload=0.5)
        for n in range(start, start + 10_000)
    ])
begin = clock.now() + timedelta(seconds=2)
schedule_many([
    dict(kind="once", group="quiet", name=f"quiet-{n}", at=begin + timedelta(milliseconds=50 * n)) for n in range(200)
])
"""


def backlog(field: Field, count: int, *, handler: str = "cluster.slow", payload: Any = 0.05, **limits: Any) -> None:
    """Make a group with limits, and so many one-shots that are due."""
    field.run(_GROUP.format(handler=handler, payload=payload, count=count, limits=limits))


def start_three_nodes(field: Field) -> None:
    for name in "abc":
        field.start(name, "--workers", "1", "--threads", "8")


def most_at_once(spans: list[tuple[Any, Any]]) -> int:
    """The most spans that have one instant in common."""
    edges = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    return max(accumulate(step for _, step in edges), default=0)


def test_limits_per_key_are_never_exceeded_through_a_kill(field: Field) -> None:
    start_three_nodes(field)
    field.run(_KEYS)
    eventually(lambda: field.succeeded() >= 150, within=60)
    field.kill("b")
    eventually(lambda: field.succeeded() >= 600, within=60)
    spans: dict[str, list[tuple[Any, Any]]] = {}
    ran = "SELECT name, started_at, finished_at FROM timers_attempt WHERE started_at IS NOT NULL"
    for name, begin, end in field.rows(ran):
        spans.setdefault(name.partition("/")[0], []).append((begin, end))
    assert len(spans) == 100
    assert max(most_at_once(each) for each in spans.values()) == 2
    field.check_ledger(600)


def test_a_limited_group_runs_while_timers_are_created_in_it(field: Field) -> None:
    start_three_nodes(field)
    field.run(_STREAM)
    assert field.succeeded() >= 300, "creations, which take turns because of max_timers, keep no node from claiming"
    eventually(lambda: field.succeeded() >= 1_500, within=60)
    spans = field.rows("SELECT started_at, finished_at FROM timers_attempt WHERE started_at IS NOT NULL")
    assert most_at_once(spans) <= 5
    field.check_ledger(1_500)


@pytest.mark.alone
def test_a_long_backlog_of_one_key_delays_no_other(field: Field) -> None:
    field.start("a", "--workers", "1", "--threads", "8")
    field.run(f"BACKLOG = {BACKLOG}\n{_ONE_HUGE_KEY}")
    found = "SELECT started_at - scheduled_for FROM timers_attempt WHERE outcome = 'succeeded' AND name = 'small'"
    late = eventually(lambda: field.value(found), within=30)
    assert late < timedelta(seconds=2)


@pytest.mark.alone
def test_a_huge_slow_backlog_delays_no_other_group(field: Field) -> None:
    start_three_nodes(field)
    field.run(f"BACKLOG = {BACKLOG}\n{_NOISY_NEIGHBOUR}")
    found = "SELECT count(*) FROM timers_attempt WHERE outcome = 'succeeded' AND starts_with(name, 'quiet-')"
    eventually(lambda: field.value(found) == 200, within=60)
    late = """SELECT percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - scheduled_for))
              FROM timers_attempt WHERE outcome = 'succeeded' AND starts_with(name, 'quiet-')"""
    assert field.value(late) <= 2
    assert field.value("SELECT count(*) FROM timers_attempt WHERE starts_with(name, 'noisy-')") > 0


@pytest.mark.alone
def test_max_rate_is_never_exceeded_through_a_kill(field: Field) -> None:
    start_three_nodes(field)
    backlog(field, 500, handler="cluster.count", payload=None, max_rate="50/s")
    eventually(lambda: field.succeeded() >= 200, within=60)
    field.kill("b")
    eventually(lambda: field.succeeded() >= 500, within=60)
    begun = sorted(at for (at,) in field.rows("SELECT started_at FROM timers_attempt WHERE started_at IS NOT NULL"))
    second = timedelta(seconds=1)
    most = max(bisect_left(begun, first + second) - number for number, first in enumerate(begun))
    assert most <= 50 + 50
    # After the first burst it goes on at the rate, but for what the killed node had claimed ahead.
    assert 8 <= (begun[-1] - begun[0]).total_seconds() <= 20
    field.check_ledger(500)


@pytest.mark.alone
def test_max_concurrency_is_never_exceeded_through_a_kill(field: Field) -> None:
    start_three_nodes(field)
    backlog(field, 400, max_concurrency=5)
    claimed = "SELECT COALESCE(sum(cardinality(executions)), 0) FROM timers_claim"
    seen: list[int] = []
    eventually(lambda: seen.append(field.value(claimed)) or field.succeeded() >= 100, within=60)
    field.kill("b")
    eventually(lambda: seen.append(field.value(claimed)) or field.succeeded() >= 400, within=60)
    spans = field.rows("SELECT started_at, finished_at FROM timers_attempt WHERE started_at IS NOT NULL")
    assert most_at_once(spans) == 5
    assert max(seen) == 5
    assert max(end for _, end in spans) - min(begin for begin, _ in spans) < timedelta(seconds=25), "not one a poll"
    field.check_ledger(400)
