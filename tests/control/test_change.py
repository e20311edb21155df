from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, words_of
from timers.domain.execution_id import parse
from timers.engine.recall import in_this_process
from timers.exceptions import InvalidRequest, NotAllowedNow, StaleVersion, TimerNotFound
from timers.handlers import Discard, Fire
from timers.models import AuditEntry, Claim, Timer, TimerGroup, Waiting
from timers.scheduling import (
    cancel_timer,
    fire_timer,
    get_timer,
    pause_timer,
    resume_timer,
    schedule_cron,
    schedule_fixed_delay,
    schedule_fixed_rate,
    schedule_once,
    update_timer,
)
from timers.testing import START, Stepper, VirtualTime


def test_an_edit_changes_what_was_given_and_keeps_the_rest(group: TimerGroup) -> None:
    schedule_fixed_rate("work", "rate", period=10, payload={"n": 1}, tags=["a"], description="old", max_fires=5)
    timer = update_timer("work", "rate", payload={"n": 2}, description="new", actor="bob")
    timer = get_timer("work", "rate")
    assert (timer.payload, timer.description, timer.tags, timer.max_fires) == ({"n": 2}, "new", ["a"], 5)
    assert (timer.version, timer.updated_by) == (2, "bob")
    assert timer.next_fire_at == START + timedelta(seconds=10)


def test_an_edit_that_names_nothing_changes_nothing(group: TimerGroup) -> None:
    timer = schedule_fixed_rate("work", "rate", period=10)
    assert update_timer("work", "rate", actor="bob", version=1).version == 1
    same = get_timer("work", "rate")
    assert (same.version, same.updated_at, same.updated_by) == (1, timer.updated_at, timer.updated_by)
    assert not AuditEntry.objects.filter(verb="timer.update").exists()
    with pytest.raises(InvalidRequest, match="colour"):
        update_timer("work", "rate", colour="red")
    with pytest.raises(StaleVersion):
        update_timer("work", "rate", version=2)


def test_an_edit_of_the_period_holds_from_now_on_and_no_instant_is_fired_again(
    group: TimerGroup, node: Stepper
) -> None:
    timer = schedule_fixed_rate("work", "rate", period=10)
    node.play(seconds=20, every=10)
    update_timer("work", "rate", period=4)
    node.play(seconds=12, every=1)
    seconds = [(row.scheduled_for - START).total_seconds() for row in finals_of(timer)]
    assert seconds == [10, 20, 24, 28, 32]


def test_an_edit_while_the_clock_stands_before_the_last_fire_moves_on_from_that(
    group: TimerGroup, time: VirtualTime
) -> None:
    node = Stepper(time, look_ahead=2)
    timer = schedule_fixed_rate("work", "rate", period=10, start_at=START + timedelta(seconds=10))
    node.time.advance(9)
    (execution,) = node.claim()
    # Its worker does not answer a recall: it counts as begun.
    in_this_process.pop((node.holder.node_id, node.holder.worker_pid))
    update_timer("work", "rate", period=10, start_at=START + timedelta(seconds=10))
    timer.refresh_from_db()
    assert timer.next_fire_at is not None and timer.last_fire_at is not None
    assert timer.next_fire_at > timer.last_fire_at
    node.play(seconds=11, every=1)
    assert str(finals_of(timer)[0].id) == execution.id
    seconds = [(row.scheduled_for - START).total_seconds() for row in finals_of(timer)]
    assert seconds == [10, 20]


def test_an_edit_of_a_timer_that_is_due_records_the_fire_that_it_gives_up(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_fixed_rate("work", "rate", period=10)
    node.time.advance(11)
    update_timer("work", "rate", period=100)
    assert [(row.outcome, row.reason) for row in finals_of(timer)] == [("skipped", "edited")]
    assert node.claim() == []


def test_a_one_shot_can_be_moved(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    schedule_once("work", "once", after=10)
    update_timer("work", "once", at=START + timedelta(seconds=100))
    node.play(seconds=99, every=1)
    assert handlers.calls == []
    node.play(seconds=1, every=1)
    assert len(handlers.calls) == 1


def test_a_finished_one_shot_with_a_new_instant_is_active_again(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_once("work", "once", after=10)
    node.play(seconds=10, every=10)
    again = update_timer("work", "once", after=10)
    assert (again.state, again.fire_count) == ("active", 0)
    node.play(seconds=10, every=10)
    assert words_of(timer) == ["succeeded", "succeeded"]


def test_a_finished_timer_stays_finished_where_only_its_payload_changes(group: TimerGroup, node: Stepper) -> None:
    schedule_once("work", "once", after=10)
    node.play(seconds=10, every=10)
    timer = update_timer("work", "once", payload=2)
    assert (timer.state, timer.next_fire_at) == ("finished", None)


def test_a_kind_can_become_another(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_once("work", "timer", after=10)
    update_timer("work", "timer", expression="0 * * * *", time_zone="Asia/Kolkata")
    timer = get_timer("work", "timer")
    assert (timer.schedule_kind, timer.time_zone) == ("cron", "Asia/Kolkata")
    assert timer.next_fire_at is not None
    assert timer.next_fire_at.isoformat() == "2027-03-01T12:30:00+00:00"


def test_a_new_zone_moves_a_cron_timer(group: TimerGroup) -> None:
    schedule_cron("work", "noon", expression="0 15 * * *", time_zone="UTC")
    timer = update_timer("work", "noon", time_zone="Europe/Berlin")
    assert timer.next_fire_at is not None
    assert timer.next_fire_at.isoformat() == "2027-03-01T14:00:00+00:00"


def test_an_edit_of_a_running_fixed_delay_counts_from_its_end(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = schedule_fixed_delay("work", "delay", delay=10)
    node.time.advance(10)
    node.claim()
    handlers.add("tests.noop", lambda _: (update_timer("work", "delay", payload={"n": 2}), node.time.advance(5)))
    node.run()
    node.finish()
    timer.refresh_from_db()
    assert timer.next_fire_at == START + timedelta(seconds=25)
    assert timer.payload == {"n": 2}


@pytest.mark.parametrize("overlap", ["skip", "allow"])
def test_an_edited_message_that_is_being_shown_stays_one_execution(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers, overlap: str
) -> None:
    handlers.script("tests.noop", Discard(), Discard(), None)
    timer = schedule_fixed_rate(
        "work", "message", period=100, until_committed=True, overrides={"overlap_policy": overlap}
    )
    node.play(seconds=110, every=10)
    update_timer("work", "message", period=10)
    node.play(seconds=200, every=10)
    assert words_of(timer) == ["discarded", "discarded", "succeeded"]
    timer.refresh_from_db()
    assert timer.state == "finished"


def test_a_running_fixed_delay_with_a_new_delay_counts_it_from_its_end(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = schedule_fixed_delay("work", "delay", delay=10)
    node.time.advance(10)
    node.claim()

    def work(_: Fire) -> None:
        update_timer("work", "delay", delay=30)
        node.time.advance(50)
        assert node.claim() == []

    handlers.add("tests.noop", work)
    node.run()
    node.finish()
    timer.refresh_from_db()
    assert timer.next_fire_at == START + timedelta(seconds=90)
    assert words_of(timer) == ["succeeded"]


def test_a_stale_version_is_refused(group: TimerGroup) -> None:
    timer = schedule_fixed_rate("work", "rate", period=10)
    update_timer("work", "rate", payload=1, version=timer.version)
    with pytest.raises(StaleVersion, match="at version 2, not 1"):
        update_timer("work", "rate", payload=2, version=timer.version)
    assert get_timer("work", "rate").payload == 1


@pytest.mark.parametrize("change", [{"period": 0}, {"payload": object()}, {"end_at": "yesterday"}, {"handler": "nix"}])
def test_an_edit_that_makes_no_sense_changes_nothing(group: TimerGroup, change: dict[str, Any]) -> None:
    schedule_fixed_rate("work", "rate", period=10)
    with pytest.raises(InvalidRequest) as refused:
        update_timer("work", "rate", description="new", **change)
    assert refused.value.field == next(iter(change))
    timer = get_timer("work", "rate")
    assert (timer.description, timer.version) == ("", 1)


def test_a_paused_timer_does_not_fire_and_a_resumed_one_does(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_fixed_rate("work", "rate", period=10)
    paused = pause_timer("work", "rate", reason="tea", actor="bob")
    assert (paused.state, paused.state_reason, paused.state_changed_by) == ("paused", "tea", "bob")
    assert paused.state_changed_at == START
    node.play(seconds=30, every=10)
    assert handlers.calls == []
    resumed = resume_timer("work", "rate")
    assert (resumed.state, resumed.state_reason) == ("active", "")
    node.until_idle()
    # One run for all three, which were missed.
    assert [fire.missed_count for fire in handlers.calls] == [2]


def test_pausing_or_resuming_twice_is_no_change(group: TimerGroup) -> None:
    schedule_fixed_rate("work", "rate", period=10)
    assert resume_timer("work", "rate").version == 1
    assert pause_timer("work", "rate").version == 2
    assert pause_timer("work", "rate").version == 2


@pytest.mark.parametrize("change", [pause_timer, resume_timer])
def test_a_timer_that_has_ended_can_neither_be_paused_nor_resumed(group: TimerGroup, change: object) -> None:
    assert callable(change)
    schedule_once("work", "cancelled", after=1)
    cancel_timer("work", "cancelled")
    with pytest.raises(NotAllowedNow, match="is cancelled; only"):
        change("work", "cancelled")


def test_what_runs_while_its_timer_is_paused_ends_in_order(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_fixed_delay("work", "delay", delay=10)
    node.time.advance(10)
    node.claim()
    node.run()
    pause_timer("work", "delay")
    node.finish()
    timer.refresh_from_db()
    assert (timer.state, timer.open_execution) == ("paused", None)
    assert timer.next_fire_at == START + timedelta(seconds=20)
    resume_timer("work", "delay")
    node.play(seconds=10, every=10)
    assert words_of(timer) == ["succeeded", "succeeded"]


def test_a_cancel_tells_what_was_in_flight_and_gives_up_what_waits(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", ValueError("down"), None, None, ValueError("down"))
    timer = schedule_fixed_rate("work", "rate", period=100)
    schedule_fixed_rate("work", "other", period=100)
    node.time.advance(100)
    node.until_idle()
    fire_timer("work", "rate", delay=10)
    id_ = fire_timer("work", "rate", overlap="allow")
    fire_timer("work", "other", overlap="allow")
    (held, _) = node.claim()
    node.run()
    answer = cancel_timer("work", "rate", reason="no more", actor="bob")
    assert answer.in_flight == [id_] == [held.id]
    assert answer.cancelled == 2
    assert (answer.timer.state, answer.timer.next_fire_at, answer.timer.state_changed_by) == ("cancelled", None, "bob")
    assert sorted(words_of(timer)) == ["cancelled", "cancelled", "error"]
    assert {row.reason for row in finals_of(timer)} == {"no more"}
    assert Waiting.objects.filter(timer_id=timer.id).count() == 0


def test_a_cancelled_timer_never_fires_again(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_fixed_rate("work", "rate", period=10)
    cancel_timer("work", "rate")
    node.play(seconds=100, every=10)
    assert words_of(timer) == []
    for change in (
        lambda: cancel_timer("work", "rate"),
        lambda: fire_timer("work", "rate"),
        lambda: update_timer("work", "rate", period=5),
    ):
        with pytest.raises(NotAllowedNow, match="cancelled"):
            change()


def test_a_one_shot_that_is_being_tried_can_still_be_cancelled(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", ValueError("down"))
    timer = schedule_once("work", "once", after=1)
    node.time.advance(1)
    node.until_idle()
    assert cancel_timer("work", "once").cancelled == 1
    node.time.advance(1000)
    assert node.until_idle() == []
    assert words_of(timer) == ["error", "cancelled"]


def test_failed_executions_of_a_cancelled_timer_stay_for_a_person(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", ValueError("down"))
    schedule_fixed_rate("work", "rate", period=100, overrides={"retry": {"max_retries": 0}})
    node.time.advance(100)
    node.until_idle()
    assert cancel_timer("work", "rate").cancelled == 0
    assert Waiting.objects.get().state == "failed"


def test_run_now_runs_beside_the_schedule_with_a_payload_of_its_own(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = schedule_fixed_rate("work", "rate", period=100, payload="own")
    before = get_timer("work", "rate")
    id_ = fire_timer("work", "rate", payload="given", actor="bob")
    assert Waiting.objects.get().reason == "run now by bob"
    node.until_idle()
    (fire,) = handlers.calls
    assert (fire.payload, fire.origin, fire.execution_id) == ("given", "manual", id_)
    after = get_timer("work", "rate")
    assert (after.next_fire_at, after.fire_count, after.open_execution) == (before.next_fire_at, 0, None)
    assert [(str(row.id), row.outcome, row.origin) for row in finals_of(timer)] == [(id_, "succeeded", "manual")]
    assert parse(id_).timer_id == timer.id


@pytest.mark.parametrize("state", ["paused", "finished"])
def test_run_now_works_for_a_timer_that_does_not_fire_by_itself(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers, state: str
) -> None:
    timer = schedule_fixed_rate("work", "rate", period=100)
    Timer.objects.filter(id=timer.id).update(state=state)
    fire_timer("work", "rate")
    node.until_idle()
    assert len(handlers.calls) == 1
    timer.refresh_from_db()
    assert timer.state == state


@pytest.mark.parametrize("delay", [-1, True, "1", float("nan"), float("inf"), 367 * 86_400])
def test_a_delay_that_makes_no_sense_is_refused(group: TimerGroup, delay: float) -> None:
    schedule_fixed_rate("work", "rate", period=100)
    with pytest.raises(InvalidRequest, match="delay: must be "):
        fire_timer("work", "rate", delay=delay)
    assert not Waiting.objects.exists()


@pytest.mark.parametrize("call", [pause_timer, resume_timer, cancel_timer, fire_timer, update_timer, get_timer])
def test_what_is_asked_of_a_timer_that_does_not_exist_says_so(group: TimerGroup, call: object) -> None:
    assert callable(call)
    with pytest.raises(TimerNotFound, match="there is no timer 'ghost' in group 'work'"):
        call("work", "ghost")
    assert not Claim.objects.exists()
