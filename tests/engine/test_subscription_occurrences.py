"""Timers that wait for their executions: an occurrence has ended with the last one of any subscription."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of
from tests.support.subscriptions import receivers, subscribe
from timers.handlers import Discard
from timers.models import Timer, TimerGroup, Waiting
from timers.scheduling import (
    schedule_fixed_delay,
    schedule_fixed_rate,
    schedule_once,
)
from timers.testing import Stepper, VirtualTime


def test_an_occurrence_overlaps_until_its_last_execution_has_ended(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a")
    subscribe("b", retry={"delays": [90]})
    handlers.script("tests.b", ValueError("no"), None)
    timer = schedule_fixed_rate("orders", "t", period=60)
    node.advance(60)
    assert receivers(handlers) == {"a": 1, "b": 1}
    node.advance(60)
    assert receivers(handlers) == {"a": 1, "b": 1}, "b's execution waits for its retry"
    assert [row.outcome for row in finals_of(timer)] == ["succeeded", "skipped"]
    node.advance(60)
    assert receivers(handlers) == {"a": 2, "b": 3}


def test_a_retry_of_one_subscription_that_does_not_block_lets_the_next_occurrence_run(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    TimerGroup.objects.update(retry_blocks=False)
    subscribe("a")
    subscribe("b", retry={"delays": [90]})
    handlers.script("tests.b", ValueError("no"), None)
    timer = schedule_fixed_rate("orders", "t", period=60)
    node.advance(120)
    assert receivers(handlers) == {"a": 2, "b": 2}
    node.advance(60)
    assert receivers(handlers) == {"a": 3, "b": 4}, "with the retry of its first"
    assert [row.outcome for row in finals_of(timer)] == ["succeeded"] * 6


def test_queued_occurrences_come_whole_one_after_the_other(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    TimerGroup.objects.update(overlap_policy="queue", max_queued=2)
    subscribe("a")
    subscribe("b", retry={"delays": [200]})
    handlers.script("tests.b", ValueError("no"), None)
    timer = schedule_fixed_rate("orders", "t", period=60, max_fires=3)
    node.advance(180)
    assert receivers(handlers) == {"a": 1, "b": 1}
    assert Waiting.objects.filter(state="queued").count() == 4, "two occurrences of two executions"
    node.advance(80)
    assert receivers(handlers) == {"a": 3, "b": 4}
    assert Timer.objects.get(id=timer.id).state == "finished"


def test_an_occurrence_makes_way_with_all_its_executions(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    TimerGroup.objects.update(overlap_policy="replace")
    for name in ("a", "b"):
        subscribe(name, retry={"delays": [500]})
        handlers.script(f"tests.{name}", ValueError("no"), None)
    timer = schedule_fixed_rate("orders", "t", period=60)
    node.advance(60)
    assert Waiting.objects.filter(state="ready").count() == 2
    node.advance(60)
    assert receivers(handlers) == {"a": 2, "b": 2}
    assert [row.outcome for row in finals_of(timer)] == ["cancelled"] * 2 + ["succeeded"] * 2


def test_an_occurrence_makes_way_when_its_running_executions_have_ended(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    TimerGroup.objects.update(overlap_policy="replace")
    subscribe("a")
    subscribe("b")
    timer = schedule_fixed_rate("orders", "t", period=60)
    node.time.advance(60)
    first, second = node.claim()
    node.held = [first]
    node.run()
    node.finish()
    node.time.advance(60)
    node.claim()
    assert Waiting.objects.filter(state="queued").count() == 2, "b's first is still held"
    node.held = [second]
    node.until_idle()
    assert Counter(row.outcome for row in finals_of(timer)) == {"succeeded": 3, "cancelled": 1}


def test_until_committed_lasts_until_each_has_committed(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a")
    subscribe("b")
    handlers.script("tests.b", Discard(), Discard(), None)
    timer = schedule_fixed_rate("orders", "t", period=60, until_committed=True)
    node.advance(60)
    assert Timer.objects.get(id=timer.id).state == "active"
    node.advance(120)
    assert [fire.number_of_try for fire in handlers.calls if fire.subscription == "b"] == [1, 2, 3]
    assert receivers(handlers) == {"a": 1, "b": 3}
    assert Timer.objects.get(id=timer.id).state == "finished"


def test_a_fixed_delay_counts_from_the_last_of_them(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers, time: VirtualTime
) -> None:
    subscribe("a")
    subscribe("b", retry={"delays": [100]})
    handlers.script("tests.b", ValueError("no"), None)
    timer = schedule_fixed_delay("orders", "t", delay=60)
    node.advance(60)
    assert Timer.objects.get(id=timer.id).next_fire_at is None
    node.advance(100)
    assert Timer.objects.get(id=timer.id).next_fire_at == time.now + timedelta(seconds=60)


def test_a_finished_timer_is_not_deleted_before_its_last_execution_has_ended(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    TimerGroup.objects.update(on_finish="delete")
    subscribe("a")
    subscribe("b")
    timer = schedule_once("orders", "t", after=0)
    first, second = node.claim()
    node.held = [first]
    node.run()
    node.finish()
    assert Timer.objects.filter(id=timer.id).exists()
    node.held = [second]
    node.run()
    node.finish()
    assert not Timer.objects.filter(id=timer.id).exists()
