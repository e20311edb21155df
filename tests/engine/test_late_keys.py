"""Limit keys of timers that were committed after their group began to limit by key.

A transaction that did not know of the limit wrote no keys, and nobody has set them since.
"""

from __future__ import annotations

import pytest

from tests.engine.test_limits_per_key import claim_all, due_timers
from tests.support.sessions import OtherSession
from tests.worker.claiming import Bench
from timers.engine import keyed_due as keyed_due_module
from timers.models import Timer, TimerGroup, Waiting
from timers.scheduling import fire_timer, schedule_once, update_group
from timers.testing import Stepper, VirtualTime


@pytest.fixture
def tenants(group: TimerGroup) -> TimerGroup:
    """A group in which each tenant has two executions at once."""
    return update_group("work", concurrency_key="payload.tenant", max_concurrency_per_key=2)


def lose_keys(*names: str) -> None:
    Timer.objects.filter(name__in=names).update(limit_key=None)


def test_timers_are_limited(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    update_group("work", max_concurrency_per_key=1)
    for name in ("first", "second"):
        schedule_once("work", name, after=1, concurrency_key="a")
    lose_keys("first", "second")
    time.advance(1)
    assert [execution.name for execution in claim_all(node)] == ["first"]
    assert set(Timer.objects.values_list("limit_key", flat=True)) == {"a"}


def test_keys_are_kept_where_nothing_may_be_claimed(tenants: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    due_timers(time, ("a", 3))
    assert len(claim_all(node)) == 2
    lose_keys("a-2")
    assert claim_all(node) == []
    assert Timer.objects.get(name="a-2").limit_key == "a"


def test_ready_executions_are_limited(group: TimerGroup, node: Stepper) -> None:
    update_group("work", max_concurrency_per_key=1)
    for name in ("first", "second"):
        schedule_once("work", name, after=60, concurrency_key="a")
        fire_timer("work", name)
    lose_keys("first", "second")
    Waiting.objects.update(limit_key=None)
    assert len(claim_all(node)) == 1
    assert Waiting.objects.get().limit_key == "a"


def test_a_long_backlog_of_a_full_key_hides_none(
    tenants: TimerGroup, node: Stepper, time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyed_due_module, "WINDOW", 20)
    update_group("work", max_batch=10)
    due_timers(time, ("huge", 300), ("small", 1))
    lose_keys("small-0")
    bench = Bench(node)
    for _ in range(6):
        bench.step()
    assert [execution.name for execution in bench.held].count("small-0") == 1


@pytest.mark.usefixtures("committed")
def test_a_timer_that_somebody_has_locked_waits_for_its_key(
    tenants: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    due_timers(time, ("a", 2))
    lose_keys("a-0", "a-1")
    with OtherSession(time.now) as session:
        session.begin()
        session.run(lambda: list(Timer.objects.filter(name="a-0").select_for_update()))
        assert [execution.name for execution in claim_all(node)] == ["a-1"]
        session.rollback()
    assert [execution.name for execution in claim_all(node)] == ["a-0"]
