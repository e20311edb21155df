from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, rows_of, words_of
from timers.engine.execution import Execution, Holder
from timers.engine.rescue import Fate, Rescued, rescue_orphans, rescue_worker
from timers.models import Claim, Timer, TimerGroup, Waiting
from timers.scheduling import fire_timer, schedule_fixed_rate, schedule_once
from timers.testing import Stepper, VirtualTime


@pytest.fixture
def claimed(group: TimerGroup, node: Stepper) -> Callable[..., Execution]:
    """Makes a one-shot that is claimed."""

    def claim(name: str = "once", **options: Any) -> Execution:
        schedule_once("work", name, after=1, **options)
        node.time.advance(1)
        (execution,) = node.claim()
        return execution

    return claim


def test_what_a_dead_node_held_is_ready_at_once_and_the_try_counts_as_lost(
    claimed: Callable[..., Execution], node: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    execution = claimed(payload={"n": 1})
    time.advance(7)
    other = Stepper(time, "node-b")
    assert other.rescue(node) == Rescued(ready=1)
    assert not Claim.objects.exists()
    (row,) = rows_of(execution.timer_id)
    assert (row.outcome, row.attempt, row.reason) == ("lost", 1, "node node-a died")
    assert (row.node, row.worker, row.fence, row.started_at) == ("node-a", 1, execution.fence, None)
    other.until_idle()
    assert [(fire.number_of_try, fire.payload, fire.execution_id) for fire in handlers.calls] == [
        (2, {"n": 1}, execution.id)
    ]
    assert words_of(execution.timer_id) == ["lost", "succeeded"]


def test_what_a_dead_node_claimed_ahead_waits_for_its_instant(
    group: TimerGroup, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    dead, other = Stepper(time, look_ahead=5), Stepper(time)
    timer = schedule_once("work", "once", after=5)
    dead.claim()
    assert other.rescue(dead).ready == 1
    assert other.until_idle() == []
    other.advance(5)
    assert [fire.fire_time for fire in handlers.calls] == [time.now]
    assert words_of(timer) == ["lost", "succeeded"]


def test_what_a_dead_node_held_is_ready_at_once_after_the_clock_was_set_back(
    claimed: Callable[..., Execution], node: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    claimed()
    time.advance(-3600)
    other = Stepper(time)
    other.rescue(node)
    assert len(other.until_idle()) == 1


def test_a_rescue_is_done_once(claimed: Callable[..., Execution], node: Stepper, time: VirtualTime) -> None:
    claimed()
    other = Stepper(time)
    assert other.rescue(node).total == 1
    assert other.rescue(node).total == 0
    assert Waiting.objects.count() == 1


def test_a_crash_loop_ends_after_max_retries_and_is_slowed_down_from_the_second_loss_on(
    group: TimerGroup, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    timer = schedule_once("work", "killer", after=1, overrides={"retry": {"max_retries": 3, "min_backoff": 10}})
    time.advance(1)
    starts = []
    for _ in range(100):
        doomed = Stepper(time)
        if doomed.claim():
            starts.append((time.now - timer.created_at).total_seconds())
            Stepper(time).rescue(doomed)
        time.advance(1)
    assert words_of(timer) == ["lost"] * 4
    assert starts == [1, 2, 22, 62]
    waiting = Waiting.objects.get()
    assert (waiting.state, waiting.attempt) == ("failed", 4)
    assert "died" in waiting.error_title


def test_a_later_try_that_is_lost_is_taken_up_at_once_too(
    group: TimerGroup, node: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", ValueError("down"), None)
    timer = schedule_once("work", "once", after=1)
    node.time.advance(1)
    node.until_idle()
    node.time.advance(120)
    node.claim()
    other = Stepper(time)
    other.rescue(node)
    other.until_idle()
    assert words_of(timer) == ["error", "lost", "succeeded"]


def test_a_loss_where_no_try_is_left_fails_the_execution_and_frees_its_timer(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work", retry={"max_retries": 0})
    timer = schedule_fixed_rate("work", "rate", period=10)
    node.time.advance(10)
    node.claim()
    other = Stepper(time)
    assert other.rescue(node) == Rescued(failed=1)
    timer.refresh_from_db()
    assert (timer.open_execution, timer.last_outcome) == (None, "failed")
    assert Waiting.objects.get().state == "failed"


def test_on_failed_drop_holds_for_losses_too(time: VirtualTime, node: Stepper, handlers: TemporaryHandlers) -> None:
    factories.group("work", retry={"max_retries": 0}, on_failed="drop")
    timer = schedule_once("work", "once", after=1)
    node.time.advance(1)
    node.claim()
    Stepper(time).rescue(node)
    assert words_of(timer) == ["lost", "failed"]
    assert not Waiting.objects.exists()


def test_a_recurring_timer_goes_on_after_its_node_died(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    timer = schedule_fixed_rate("work", "rate", period=100)
    node.time.advance(100)
    node.claim()
    other = Stepper(time)
    other.rescue(node)
    other.play(seconds=200, every=10)
    assert [row.outcome for row in finals_of(timer)] == ["succeeded"] * 3
    assert words_of(timer)[:2] == ["lost", "succeeded"]


def test_a_worker_that_surely_had_not_begun_gives_its_try_back(
    claimed: Callable[..., Execution], node: Stepper, handlers: TemporaryHandlers
) -> None:
    execution = claimed()
    assert rescue_worker(node.holder, {}, node.time.us) == Rescued(given_back=1)
    row = Waiting.objects.get()
    assert (str(row.id), row.state, row.attempt, row.reason) == (execution.id, "ready", 0, "released")
    node.held = []
    node.until_idle()
    assert [fire.number_of_try for fire in handlers.calls] == [1]
    assert words_of(execution.timer_id) == ["succeeded"]


def test_what_had_begun_is_lost_what_had_not_is_given_back(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    begun, waiting = schedule_once("work", "begun", after=1), schedule_once("work", "waiting", after=1)
    node.time.advance(1)
    executions = {execution.name: execution for execution in node.claim()}
    fates = {executions["begun"].id: Fate(time.us, reason="exited with code 3")}
    time.advance(1)
    assert rescue_worker(node.holder, fates, time.us) == Rescued(ready=1, given_back=1)
    (row,) = rows_of(begun)
    assert (row.outcome, row.reason) == ("lost", "exited with code 3")
    assert row.started_at is not None
    assert (row.finished_at - row.started_at).total_seconds() == 1
    assert rows_of(waiting) == []
    assert {row.name: row.attempt for row in Waiting.objects.all()} == {"begun": 1, "waiting": 0}


def test_a_try_that_ran_over_its_limit_is_recorded_as_timeout_and_retried_by_policy(
    claimed: Callable[..., Execution], node: Stepper
) -> None:
    execution = claimed()
    rescue_worker(node.holder, {execution.id: Fate(node.time.us, "timeout", "ran longer than its limit")}, node.time.us)
    assert words_of(execution.timer_id) == ["timeout"]
    assert (Waiting.objects.get().available_at - node.time.now).total_seconds() == 120


def test_a_try_ended_for_anothers_fault_is_recorded_but_forgiven(
    claimed: Callable[..., Execution], node: Stepper, handlers: TemporaryHandlers
) -> None:
    execution = claimed(overrides={"retry": {"max_retries": 1}})
    handlers.script("tests.noop", ValueError("down"))
    for _ in range(5):
        fates = {execution.id: Fate(node.time.us, reason="its worker was stopped", forgiven=True)}
        assert rescue_worker(node.holder, fates, node.time.us) == Rescued(ready=1)
        (execution,) = node.claim()
    node.held = [execution]
    node.run()
    node.finish()
    node.time.advance(120)
    node.until_idle()
    assert words_of(execution.timer_id) == ["lost"] * 5 + ["error", "error"]
    assert Waiting.objects.get().state == "failed"


def test_a_worker_that_lives_on_keeps_what_it_has_begun(group: TimerGroup, node: Stepper) -> None:
    for name in ("begun", "waiting"):
        schedule_once("work", name, after=1)
    node.time.advance(1)
    executions = {execution.name: execution for execution in node.claim()}
    rescued = rescue_worker(
        node.holder, {executions["begun"].id: Fate(node.time.us)}, node.time.us, only_unstarted=True
    )
    assert rescued == Rescued(given_back=1)
    assert [str(id_) for id_ in Claim.objects.get().executions] == [executions["begun"].id]
    node.run()
    finished = node.finish()
    assert [outcome.execution.name for outcome, _ in finished.verdicts] == ["begun"]
    assert [outcome.execution.name for outcome in finished.refused] == ["waiting"]


def test_a_rescue_touches_only_the_dead_worker(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    for number in range(6):
        schedule_once("work", f"{number}", after=1)
    node.time.advance(1)
    node.claim(limit=2)
    sibling, own = Holder(node.node.id, "node-a", 2, 4712), node.holder
    node.holder = sibling
    node.claim(limit=2)
    other = Stepper(time)
    other.claim(limit=2)
    assert rescue_worker(own, {}, time.us).total == 2
    assert sorted(Claim.objects.values_list("worker_pid", flat=True)) == [4711, 4712]


def test_claims_that_a_worker_does_not_know_of_are_given_back(group: TimerGroup, node: Stepper) -> None:
    for number in range(4):
        schedule_once("work", f"{number}", after=1)
    node.time.advance(1)
    known = node.claim(limit=2)
    node.claim(limit=2)
    assert rescue_orphans(node.holder, {known[0].fence}, node.time.us) == Rescued(given_back=2)
    assert Claim.objects.get().id == known[0].fence
    assert set(Waiting.objects.values_list("attempt", flat=True)) == {0}


def test_thousands_are_rescued_in_batches(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    for number in range(35):
        schedule_once("work", f"{number}", after=1)
    node.time.advance(1)
    for _ in range(35):
        node.claim(limit=1)
    assert Stepper(time).rescue(node) == Rescued(ready=35)
    assert Waiting.objects.count() == 35
    assert not Claim.objects.exists()


@pytest.mark.parametrize("payload", [{"own": True}, None])
def test_a_run_with_its_own_payload_keeps_payload_origin_and_instant(
    group: TimerGroup, node: Stepper, time: VirtualTime, handlers: TemporaryHandlers, payload: Any
) -> None:
    schedule_fixed_rate("work", "rate", period=1000, payload={"the": "timer's"})
    id_ = fire_timer("work", "rate", payload=payload, delay=5)
    node.time.advance(5)
    node.claim()
    other = Stepper(time)
    other.rescue(node)
    other.until_idle()
    (fire,) = handlers.calls
    assert (fire.execution_id, fire.payload, fire.origin, fire.number_of_try) == (id_, payload, "manual", 2)


def test_what_was_held_for_a_deleted_timer_ends_as_cancelled(
    claimed: Callable[..., Execution], node: Stepper, time: VirtualTime
) -> None:
    execution = claimed()
    Timer.objects.all().delete()
    other = Stepper(time)
    assert other.rescue(node).total == 1
    assert other.until_idle() == []
    assert words_of(execution.timer_id) == ["lost", "cancelled"]
    assert not Waiting.objects.exists()


def test_poison_that_was_held_is_rescued_like_anything_else(
    claimed: Callable[..., Execution], node: Stepper, time: VirtualTime
) -> None:
    execution = claimed()
    timer = Timer.objects.get()
    for column in ("payload", "schedule", "action", "overrides"):
        factories.spoil(timer, column)
    other = Stepper(time)
    assert other.rescue(node).total == 1
    time.advance(1000)
    other.until_idle()
    assert Waiting.objects.get().state == "failed"
    assert words_of(execution.timer_id) == ["lost", "error"]
