"""A change that comes after the claim and before the begin has the effect of one that came before the claim."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

import pytest
from django.db import transaction

from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import words_of
from tests.support.sessions import OtherSession
from timers.control.executions import cancel_execution
from timers.exceptions import NotAllowedNow
from timers.models import Attempt, Claim, Timer, TimerGroup, Waiting
from timers.scheduling import (
    backfill_timer,
    cancel_backfill,
    cancel_timer,
    fire_timer,
    get_timer,
    pause_timer,
    resume_timer,
    schedule_fixed_delay,
    schedule_fixed_rate,
    schedule_once,
    skip_next_fire,
    update_timer,
)
from timers.testing import Stepper, VirtualTime


@pytest.fixture
def ahead(time: VirtualTime) -> Stepper:
    """A node that claims two seconds ahead."""
    return Stepper(time, "node-a", look_ahead=2.0)


def seconds_between(timer: Timer, time: VirtualTime) -> float:
    assert timer.next_fire_at is not None
    return (timer.next_fire_at - time.now).total_seconds()


def test_update_to_a_later_instant_calls_the_claimed_one_back(
    group: TimerGroup, ahead: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    schedule_once("work", "t", after=2)
    assert len(ahead.claim()) == 1
    timer = update_timer("work", "t", after=5)
    assert (timer.state, timer.in_flight, seconds_between(timer, time), timer.fire_count) == ("active", [], 5.0, 0)
    assert not Claim.objects.exists()
    ahead.advance(4)
    assert handlers.calls == []
    ahead.advance(1)
    assert [fire.name for fire in handlers.calls] == ["t"]
    assert words_of(timer) == ["succeeded"]


def test_update_of_the_payload_reaches_what_is_claimed(
    group: TimerGroup, ahead: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_once("work", "t", after=2, payload="old")
    ahead.claim()
    update_timer("work", "t", payload="new")
    ahead.advance(2)
    assert [fire.payload for fire in handlers.calls] == ["new"]


def test_update_of_the_description_leaves_the_claim_alone(group: TimerGroup, ahead: Stepper) -> None:
    schedule_once("work", "t", after=2)
    ahead.claim()
    update_timer("work", "t", description="for people")
    assert Claim.objects.count() == 1


def test_update_names_what_has_begun_in_flight(group: TimerGroup, ahead: Stepper, time: VirtualTime) -> None:
    schedule_fixed_rate("work", "t", period=10)
    time.advance(10)
    (execution,) = ahead.claim()
    ahead.run()
    timer = update_timer("work", "t", payload="late")
    assert timer.in_flight == [execution.id]
    ahead.finish()
    assert words_of(timer) == ["succeeded"]


def test_pause_makes_a_claimed_one_shot_due_again_and_missed_at_the_resume(
    group: TimerGroup, ahead: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    schedule_once("work", "t", after=2)
    ahead.claim()
    paused = pause_timer("work", "t")
    assert (paused.state, paused.in_flight, seconds_between(paused, time)) == ("paused", [], 2.0)
    ahead.advance(30)
    assert handlers.calls == []
    resume_timer("work", "t")
    ahead.advance(1)
    assert len(handlers.calls) == 1


def test_pause_of_a_rate_restores_its_count_and_its_last_fire(
    group: TimerGroup, ahead: Stepper, time: VirtualTime
) -> None:
    schedule_fixed_rate("work", "t", period=10)
    ahead.advance(18.5)
    ahead.claim()
    before = get_timer("work", "t")
    assert before.fire_count == 2
    paused = pause_timer("work", "t")
    assert (paused.fire_count, paused.open_execution, seconds_between(paused, time)) == (1, None, 1.5)
    assert before.last_fire_at is not None
    assert paused.last_fire_at is not None
    assert (before.last_fire_at - paused.last_fire_at).total_seconds() == 10


def test_pause_undoes_all_that_a_fast_timer_has_claimed_ahead(
    group: TimerGroup, ahead: Stepper, time: VirtualTime
) -> None:
    schedule_fixed_rate("work", "t", period=0.5, overrides={"overlap_policy": "allow"})
    while ahead.claim():
        pass
    assert get_timer("work", "t").fire_count == 4
    paused = pause_timer("work", "t")
    assert (paused.fire_count, paused.last_fire_at, seconds_between(paused, time)) == (0, None, 0.5)


def test_pause_undoes_only_the_fires_after_the_one_that_has_begun(
    group: TimerGroup, ahead: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    schedule_fixed_rate("work", "t", period=0.5, overrides={"overlap_policy": "allow"})
    while ahead.claim():
        pass
    time.advance(1)
    begun = {outcome.execution.id for outcome in ahead.run()}
    paused = pause_timer("work", "t")
    assert set(paused.in_flight) == begun
    assert (len(begun), paused.fire_count, seconds_between(paused, time)) == (2, 2, 0.5)


def test_pause_of_a_fixed_delay_before_its_begin_is_undone_whole(
    group: TimerGroup, ahead: Stepper, time: VirtualTime
) -> None:
    schedule_fixed_delay("work", "t", delay=2)
    ahead.claim()
    paused = pause_timer("work", "t")
    assert (paused.open_execution, seconds_between(paused, time)) == (None, 2.0)


def test_pause_lets_a_manual_run_go_on_and_names_it(
    group: TimerGroup, ahead: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_fixed_rate("work", "t", period=3600)
    run = fire_timer("work", "t", delay=1)
    ahead.claim()
    assert pause_timer("work", "t").in_flight == [run]
    ahead.advance(1)
    assert [fire.execution_id for fire in handlers.calls] == [run]


def test_update_gives_a_claimed_manual_run_back_uncounted(
    group: TimerGroup, ahead: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_fixed_rate("work", "t", period=3600, payload="old")
    fire_timer("work", "t", delay=1)
    ahead.claim()
    assert update_timer("work", "t", payload="new").in_flight == []
    assert Waiting.objects.get().attempt == 0
    ahead.advance(1)
    assert [(fire.payload, fire.number_of_try) for fire in handlers.calls] == [("new", 1)]


def test_cancel_ends_what_is_claimed_and_has_not_begun(
    group: TimerGroup, ahead: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = schedule_once("work", "t", after=2)
    ahead.claim()
    answer = cancel_timer("work", "t")
    assert (answer.in_flight, answer.cancelled, words_of(timer)) == ([], 1, ["cancelled"])
    ahead.advance(5)
    assert handlers.calls == []
    assert not Claim.objects.exists()


def test_cancel_of_one_execution_ends_it_before_it_begins(
    group: TimerGroup, ahead: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_fixed_rate("work", "t", period=2)
    (execution,) = ahead.claim()
    assert not cancel_execution(execution.id).in_flight
    ahead.advance(2)
    assert handlers.calls == []
    ahead.advance(2)
    assert len(handlers.calls) == 1


def test_skip_next_leaves_out_a_claimed_fire(
    group: TimerGroup, ahead: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    timer = schedule_fixed_rate("work", "t", period=2)
    due = timer.next_fire_at
    ahead.claim()
    left_out = skip_next_fire("work", "t")
    assert (left_out[0], left_out.in_flight) == (due, [])
    ahead.advance(2)
    assert handlers.calls == []
    ahead.advance(2)
    assert len(handlers.calls) == 1
    assert words_of(timer) == ["skipped", "succeeded"]


def test_skip_next_finishes_a_claimed_one_shot(group: TimerGroup, ahead: Stepper, handlers: TemporaryHandlers) -> None:
    schedule_once("work", "t", after=2)
    ahead.claim()
    assert skip_next_fire("work", "t")[1] is None
    ahead.advance(3)
    assert (handlers.calls, get_timer("work", "t").state) == ([], "finished")


def test_skip_next_after_the_begin_names_the_execution_and_leaves_the_next_one_out(
    group: TimerGroup, ahead: Stepper, time: VirtualTime
) -> None:
    schedule_fixed_rate("work", "t", period=10)
    time.advance(10)
    (execution,) = ahead.claim()
    ahead.run()
    left_out = skip_next_fire("work", "t")
    assert (left_out.in_flight, (left_out[0] - time.now).total_seconds()) == ([execution.id], 10.0)


def test_a_change_that_is_rolled_back_gives_the_execution_back_to_its_worker(
    group: TimerGroup, ahead: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_once("work", "t", after=2)
    ahead.claim()
    with transaction.atomic():
        update_timer("work", "t", after=60)
        transaction.set_rollback(True)
    ahead.advance(2)
    assert len(handlers.calls) == 1


def test_what_a_drain_gave_back_is_called_back_too(
    group: TimerGroup, ahead: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_once("work", "t", after=2)
    ahead.claim()
    ahead.release()
    update_timer("work", "t", after=5)
    assert not Waiting.objects.exists()
    ahead.advance(4)
    assert handlers.calls == []
    ahead.advance(1)
    assert len(handlers.calls) == 1


def test_what_a_worker_of_a_node_unknown_to_others_holds_counts_as_begun(
    group: TimerGroup, ahead: Stepper, time: VirtualTime
) -> None:
    from timers.engine.recall import in_this_process

    schedule_once("work", "t", after=2)
    (execution,) = ahead.claim()
    del in_this_process[ahead.holder.node_id, ahead.holder.worker_pid]
    assert update_timer("work", "t", after=5).in_flight == [execution.id]
    ahead.advance(5)
    assert Attempt.objects.filter(outcome="succeeded").count() == 2


def test_a_finished_timer_whose_fire_has_begun_cannot_be_paused(
    group: TimerGroup, ahead: Stepper, time: VirtualTime
) -> None:
    schedule_once("work", "t", after=1)
    ahead.claim()
    time.advance(1)
    ahead.run()
    with pytest.raises(NotAllowedNow, match="is finished"):
        pause_timer("work", "t")


@pytest.mark.usefixtures("committed")
def test_what_a_change_recalls_waits_until_its_transaction_has_ended(
    group: TimerGroup, ahead: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    for name in ("kept", "moved"):
        schedule_once("work", name, after=1)
    ahead.claim()
    with OtherSession(time.now) as session:
        session.begin()
        session.run(lambda: update_timer("work", "moved", after=60))
        time.advance(1)
        ahead.run()
        assert [fire.name for fire in handlers.calls] == ["kept"]
        session.rollback()
        ahead.run()
        assert [fire.name for fire in handlers.calls] == ["kept", "moved"]


def test_a_late_fire_behind_which_instants_were_skipped_is_not_undone(
    group: TimerGroup, node: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    """It waits for a free thread, and the next instant was skipped for its sake: it goes on, and is named."""
    timer = schedule_fixed_rate("work", "t", period=10)
    time.advance(10)
    (execution,) = node.claim()
    time.advance(10)
    node.claim()
    assert words_of(timer) == ["skipped"]
    assert update_timer("work", "t", payload="new").in_flight == [execution.id]
    node.run()
    node.finish()
    assert words_of(timer) == ["succeeded", "skipped"]


def test_cancel_of_a_backfill_ends_what_is_claimed_and_has_not_begun(
    group: TimerGroup, node: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    schedule_fixed_rate("work", "t", period=60, start_at=time.now)
    time.advance(1)
    node.until_idle()
    handlers.calls.clear()
    time.advance(3600 * 24)
    pause_timer("work", "t")
    backfill_timer("work", "t", start=time.now - timedelta(minutes=5), end=time.now)
    assert len(node.claim()) == 1
    assert cancel_backfill("work", "t") == 5
    node.until_idle()
    assert handlers.calls == []


def test_update_revokes_what_its_worker_gives_back_meanwhile(
    group: TimerGroup, time: VirtualTime, handlers: TemporaryHandlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Stepper(time, look_ahead=2.0)
    schedule_once("work", "t", after=1)
    node.claim()

    def gives_back(token: int, executions: Collection[str]) -> set[str]:
        node.release()
        return set()

    monkeypatch.setattr(node, "hold_back", gives_back)
    assert update_timer("work", "t", after=3600).in_flight == []
    assert not Waiting.objects.exists()
    node.advance(60)
    assert handlers.calls == []
    node.advance(hours=1)
    assert len(handlers.calls) == 1
