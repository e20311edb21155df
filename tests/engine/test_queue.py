"""A queue behind an execution, whatever is done to its timer meanwhile: it goes on in order, or is dropped whole."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, words_of
from timers.control.executions import cancel_waiting, dismiss_failed, retry_failed
from timers.models import Claim, Timer, TimerGroup, Waiting
from timers.scheduling import (
    cancel_timer,
    delete_group,
    pause_timer,
    resume_timer,
    schedule_fixed_rate,
    schedule_once,
    update_timer,
)
from timers.testing import START, Stepper, VirtualTime

SECOND = timedelta(seconds=1)


@pytest.fixture
def queued(time: VirtualTime, node: Stepper, handlers: TemporaryHandlers) -> Timer:
    """A timer of one second: its first execution is claimed, three queue behind it."""
    factories.group("work", overlap_policy="queue", max_queued=3, retry={"max_retries": 1, "min_backoff": 5})
    timer = schedule_fixed_rate("work", "second", period=1)
    time.advance(1)
    assert len(node.claim()) == 1
    time.advance(3)
    assert node.claim() == []
    assert Waiting.objects.filter(state="queued").count() == 3
    return Timer.objects.get(id=timer.id)


def instants(handlers: TemporaryHandlers) -> list[int]:
    return [(fire.scheduled_fire_time - START).seconds for fire in handlers.calls]


def one_by_one(node: Stepper) -> None:
    """Run what there is, and look that nothing runs beside it."""
    while node.held or node.claim():
        assert len(node.held) == 1
        assert sum(len(claim.executions) for claim in Claim.objects.all()) == 1
        node.run()
        node.finish()


def test_a_queue_runs_out_in_order_and_one_at_a_time(queued: Timer, node: Stepper, handlers: TemporaryHandlers) -> None:
    one_by_one(node)
    assert instants(handlers) == [1, 2, 3, 4]
    queued.refresh_from_db()
    assert (queued.open_execution, queued.fire_count) == (None, 4)


@pytest.mark.parametrize("by", ["schedule_once", "update_timer"])
def test_a_queue_runs_out_though_its_timer_became_a_one_shot(
    queued: Timer, node: Stepper, handlers: TemporaryHandlers, by: str
) -> None:
    if by == "schedule_once":
        schedule_once("work", "second", after=1000, on_conflict="replace")
    else:
        update_timer("work", "second", at=node.time.now + 1000 * SECOND)
    one_by_one(node)
    assert instants(handlers) == [1, 2, 3, 4]
    assert not Waiting.objects.exists()
    node.advance(1000)
    assert instants(handlers)[4:] == [1004]
    queued.refresh_from_db()
    assert (queued.state, queued.open_execution) == ("finished", None)


def test_a_queue_of_a_timer_that_became_a_one_shot_outlives_the_node_that_runs_it(
    queued: Timer, node: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_once("work", "second", after=1000, on_conflict="replace")
    other = Stepper(node.time)
    node.run()
    node.finish()
    assert len(node.claim()) == 1
    other.rescue(node)
    other.until_idle()
    assert instants(handlers) == [1, 2, 3, 4]
    assert words_of(queued) == ["succeeded", "lost", "succeeded", "succeeded", "succeeded"]


@pytest.mark.parametrize("policy", ["skip", "allow", "replace"])
def test_a_queue_runs_out_though_the_policy_is_another_one_now(
    queued: Timer, node: Stepper, handlers: TemporaryHandlers, policy: str
) -> None:
    update_timer("work", "second", period=1000, overrides={"overlap_policy": policy})
    one_by_one(node)
    assert instants(handlers) == [1, 2, 3, 4]


def test_a_timer_that_is_out_of_fires_ends_with_its_queue(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work", overlap_policy="queue", max_queued=3)
    timer = schedule_fixed_rate("work", "second", period=1, max_fires=3)
    time.advance(1)
    node.claim()
    time.advance(10)
    node.claim()
    timer.refresh_from_db()
    assert (timer.state, timer.next_fire_at, timer.fire_count) == ("finished", None, 3)
    one_by_one(node)
    assert instants(handlers) == [1, 2, 3]
    timer.refresh_from_db()
    assert (timer.state, timer.open_execution) == ("finished", None)


def test_a_finished_timer_with_a_queue_is_deleted_after_its_last(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work", overlap_policy="queue", max_queued=3, on_finish="delete")
    schedule_fixed_rate("work", "second", period=1, max_fires=3)
    time.advance(1)
    node.claim()
    time.advance(10)
    node.claim()
    one_by_one(node)
    assert instants(handlers) == [1, 2, 3]
    assert not Timer.objects.exists()


def test_a_try_again_keeps_its_place_and_what_fails_for_good_gives_way(
    queued: Timer, node: Stepper, handlers: TemporaryHandlers
) -> None:
    pause_timer("work", "second")
    handlers.script("tests.noop", ValueError("down"), ValueError("down"), None)
    node.run()
    node.finish()
    node.until_idle()
    assert instants(handlers) == [1], "the next one does not overtake the retry"
    node.time.advance(5)
    node.until_idle()
    assert instants(handlers) == [1, 1, 2, 3, 4]
    assert words_of(queued) == ["error", "error", "succeeded", "succeeded", "succeeded"]
    assert list(Waiting.objects.values_list("state", flat=True)) == ["failed"]


def test_a_persons_retry_of_what_failed_does_not_disturb_the_queue(
    queued: Timer, node: Stepper, handlers: TemporaryHandlers
) -> None:
    pause_timer("work", "second")
    handlers.script("tests.noop", *[ValueError("down")] * 2, None)
    node.run()
    node.finish()
    node.time.advance(5)
    node.step()
    retry_failed(str(Waiting.objects.get(state="failed").id))
    node.until_idle()
    assert sorted(instants(handlers)) == [1, 1, 1, 2, 3, 4]
    assert not Waiting.objects.exists()
    queued.refresh_from_db()
    assert queued.open_execution is None


def test_a_failed_one_that_is_dismissed_moves_nothing(
    queued: Timer, node: Stepper, handlers: TemporaryHandlers
) -> None:
    pause_timer("work", "second")
    handlers.script("tests.noop", *[ValueError("down")] * 2, None)
    node.run()
    node.finish()
    node.time.advance(5)
    node.step()
    (execution,) = node.claim()
    assert dismiss_failed([str(Waiting.objects.get(state="failed").id)]) == 1
    queued.refresh_from_db()
    assert str(queued.open_execution) == execution.id
    assert Waiting.objects.filter(state="queued").count() == 2


def test_a_cancelled_timer_drops_its_queue_and_what_has_not_begun(queued: Timer, node: Stepper) -> None:
    answer = cancel_timer("work", "second", reason="enough")
    assert (answer.in_flight, answer.cancelled) == ([], 4)
    node.until_idle()
    assert [(row.outcome, row.reason) for row in finals_of(queued)] == [
        ("cancelled", "enough; it had not begun"),
        *[("cancelled", "enough")] * 3,
    ]
    assert not Claim.objects.exists()


def test_a_timer_scheduled_anew_after_a_cancel_has_a_queue_of_its_own(
    queued: Timer, node: Stepper, handlers: TemporaryHandlers
) -> None:
    cancel_timer("work", "second")
    timer = schedule_fixed_rate("work", "second", period=1)
    assert timer.id != queued.id
    node.time.advance(1)
    node.until_idle()
    assert words_of(timer) == ["succeeded"]


def test_a_paused_timer_lets_its_queue_run_out_and_adds_nothing_to_it(
    queued: Timer, node: Stepper, handlers: TemporaryHandlers
) -> None:
    pause_timer("work", "second")
    node.time.advance(30)
    one_by_one(node)
    assert instants(handlers) == [1, 2, 3, 4]
    resume_timer("work", "second")
    one_by_one(node)
    assert (instants(handlers)[4], handlers.calls[4].missed_count) == (34, 29)


def test_one_that_is_cancelled_in_the_queue_leaves_the_order_of_the_others(
    queued: Timer, node: Stepper, handlers: TemporaryHandlers
) -> None:
    middle = Waiting.objects.order_by("id")[1]
    assert cancel_waiting([str(middle.id)]) == 1
    pause_timer("work", "second")
    one_by_one(node)
    assert instants(handlers) == [1, 2, 4]
    assert words_of(queued) == ["succeeded", "succeeded", "cancelled", "succeeded"]


def test_the_open_one_that_is_cancelled_while_it_waits_lets_the_next_begin(
    queued: Timer, node: Stepper, handlers: TemporaryHandlers
) -> None:
    pause_timer("work", "second")
    handlers.script("tests.noop", ValueError("down"), None)
    node.run()
    node.finish()
    (retry,) = Waiting.objects.filter(state="ready")
    assert cancel_waiting([str(retry.id)]) == 1
    one_by_one(node)
    assert instants(handlers) == [1, 2, 3, 4]
    assert words_of(queued)[:2] == ["error", "cancelled"]


def test_the_open_one_and_the_next_cancelled_together_let_the_third_begin(
    queued: Timer, node: Stepper, handlers: TemporaryHandlers
) -> None:
    pause_timer("work", "second")
    handlers.script("tests.noop", ValueError("down"), None)
    node.run()
    node.finish()
    ids = [str(row.id) for row in Waiting.objects.order_by("id")]
    assert cancel_waiting(ids[:2]) == 2
    one_by_one(node)
    assert instants(handlers) == [1, 3, 4]


def test_a_deleted_group_takes_its_queues_along(queued: Timer, node: Stepper) -> None:
    node.release()
    assert delete_group("work", force=True) == 1
    assert not Waiting.objects.exists()
    assert words_of(queued) == ["cancelled"] * 4


def test_what_is_given_back_unrun_keeps_its_place(queued: Timer, node: Stepper, handlers: TemporaryHandlers) -> None:
    pause_timer("work", "second")
    assert node.release() == 1
    other = Stepper(node.time)
    one_by_one(other)
    assert instants(handlers) == [1, 2, 3, 4]
    assert {fire.number_of_try for fire in handlers.calls} == {1}


def test_what_a_dead_node_ran_is_tried_again_before_the_queue(
    queued: Timer, node: Stepper, handlers: TemporaryHandlers
) -> None:
    pause_timer("work", "second")
    other = Stepper(node.time)
    other.rescue(node)
    one_by_one(other)
    assert [
        (fire.number_of_try, seconds) for fire, seconds in zip(handlers.calls, instants(handlers), strict=True)
    ] == [
        (2, 1),
        (1, 2),
        (1, 3),
        (1, 4),
    ]


def test_a_timer_that_cannot_be_read_keeps_its_open_execution(queued: Timer, node: Stepper) -> None:
    (running,) = node.held
    factories.spoil(queued, "schedule", '{"period":"never"}')
    node.time.advance(1)
    node.claim()
    queued.refresh_from_db()
    assert (queued.state, str(queued.open_execution)) == ("paused", running.id)


@pytest.mark.parametrize("policy", ["skip", "queue"])
def test_the_instants_of_a_full_queue_have_a_row_each(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers, policy: str
) -> None:
    timer = schedule_fixed_rate("work", "second", period=1, overrides={"overlap_policy": policy, "max_queued": 2})
    node.time.advance(1)
    node.claim()
    for _ in range(8):
        node.time.advance(1)
        node.claim()
    expected = range(2, 10) if policy == "skip" else range(4, 10)
    skipped = [row for row in finals_of(timer) if row.outcome == "skipped"]
    assert [row.scheduled_for for row in skipped] == [START + second * SECOND for second in expected]
    assert {(row.reason, row.missed_count) for row in skipped} == {("overlap", 0)}


@pytest.mark.parametrize("end", ["fails once", "its node dies"])
def test_a_queue_waits_for_the_open_one_that_its_timers_replacement_found(
    queued: Timer, node: Stepper, handlers: TemporaryHandlers, end: str
) -> None:
    schedule_once("work", "second", after=1000, on_conflict="replace")
    other = Stepper(node.time)
    if end == "fails once":
        handlers.script("tests.noop", ValueError("down"), None)
        node.run()
        node.finish()
        node.time.advance(5)
    else:
        other.rescue(node)
    one_by_one(other)
    assert instants(handlers)[-4:] == [1, 2, 3, 4]
    assert not Waiting.objects.exists()
