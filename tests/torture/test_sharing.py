"""Bursts of slow work on real nodes: who runs how much of it."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.cluster.field import Field, eventually

pytestmark = [pytest.mark.torture, pytest.mark.alone, pytest.mark.django_db(transaction=True)]

_BURST = """
from datetime import timedelta
from timers import clock
from timers.scheduling import ensure_group, schedule_many
ensure_group("burst", retry={{"min_backoff": 2, "jitter": 0}})
at = clock.now() + timedelta(seconds={ahead})
common = dict(kind="once", group="burst", at=at, handler={handler!r}, payload={seconds})
schedule_many([dict(common, name=f"{title}-{{n}}") for n in range({count})])
"""

_TICKS = """
from timers.scheduling import ensure_group, schedule_fixed_rate
for number in range(4):
    ensure_group(f"tick-{number}")
    schedule_fixed_rate(f"tick-{number}", "tick", period=1, handler="cluster.count")
"""


def burst(
    field: Field, title: str, *, count: int, seconds: float, ahead: float = 3, handler: str = "cluster.rest"
) -> None:
    """Schedule one-shots of one instant, far enough ahead that every worker looks before it."""
    words = {"title": title, "count": count, "seconds": seconds, "ahead": ahead, "handler": handler}
    field.run(_BURST.format(**words))


def started_by_worker(field: Field, title: str, count: int) -> list[int]:
    """How many executions of the burst each worker has run, once all have ended; the smallest first."""
    found = "SELECT node, worker FROM timers_attempt WHERE outcome = 'succeeded' AND name LIKE %s"
    eventually(lambda: len(field.rows(found, f"{title}-%")) == count, within=60)
    return sorted(Counter(field.rows(found, f"{title}-%")).values())


def is_shared(counts: list[int], workers: int) -> bool:
    """Whether so many workers have run the same number each, give or take one."""
    fair = sum(counts) / workers
    return len(counts) == workers and all(abs(count - fair) <= 1 for count in counts)


def test_a_burst_is_shared_by_the_workers_of_all_nodes(field: Field) -> None:
    field.start("a", "--workers", "2")
    for name in "bc":
        field.start(name, "--workers", "1")
    field.wait_for_workers(4)
    burst(field, "unknown", count=16, seconds=1)
    assert is_shared(started_by_worker(field, "unknown", 16), 4)
    burst(field, "known", count=8, seconds=1)
    assert is_shared(started_by_worker(field, "known", 8), 4)


def test_what_a_killed_node_held_is_shared_by_the_others(field: Field) -> None:
    field.start("dying", "--workers", "1", "--threads", "12")
    field.wait_for_workers(1)
    burst(field, "rescued", count=12, seconds=100, handler="cluster.slow_first")
    eventually(lambda: len(field.calls()) == 12)
    for name in "abc":
        field.start(name, "--workers", "1")
    field.wait_for_workers(4)
    field.kill("dying")
    assert is_shared(started_by_worker(field, "rescued", 12), 3)


def test_slow_work_skips_no_tick_of_other_groups_while_a_thread_is_free(field: Field) -> None:
    for name in "abc":
        field.start(name, "--workers", "1", "--threads", "3")
    field.wait_for_workers(3)
    field.run(_TICKS)
    eventually(lambda: len(field.calls()) >= 8)
    # Eight of nine threads are taken, by the fair parts of the first burst and whatever the second one finds.
    burst(field, "first", count=4, seconds=12, ahead=1)
    burst(field, "second", count=4, seconds=8, ahead=0)
    started_by_worker(field, "first", 4)
    started_by_worker(field, "second", 4)
    ticks = field.rows("SELECT outcome, reason FROM timers_attempt WHERE name = 'tick'")
    assert len(ticks) > 40
    assert Counter(ticks) == {("succeeded", None): len(ticks)}


def test_timerbench_reports_the_shares_of_a_burst(field: Field) -> None:
    words = ("--nodes", "2", "--executions", "6", "--run-seconds", "0.3", "--ahead", "2")
    figures = json.loads(field.manage("timerbench", "burst", "--json", *words))["figures"]
    for run in (figures["unknown"], figures["known"]):
        assert run["by_worker"].keys() == {"1/1", "2/1"}
        assert is_shared(list(run["by_worker"].values()), 2)
        assert (run["lateness"]["executions"], run["lateness"]["early"]) == (6, 0)
