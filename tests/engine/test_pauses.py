"""Pauses that end by themselves, timers that pause themselves, and the one fire that is left out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, words_of
from timers.engine.fence import revoke
from timers.engine.pauses import resume_elapsed
from timers.exceptions import InvalidRequest, NotAllowedNow
from timers.models import ClusterEvent, Timer, TimerGroup
from timers.scheduling import (
    cancel_timer,
    create_calendar,
    pause_group,
    pause_timer,
    resume_group,
    resume_timer,
    schedule_cron,
    schedule_fixed_delay,
    schedule_fixed_rate,
    schedule_once,
    skip_next_fire,
    update_timer,
)
from timers.testing import START, Stepper

SECOND = timedelta(seconds=1)
MIDNIGHT = START.replace(hour=0) + timedelta(days=1)


def ran(handlers: TemporaryHandlers) -> list[int]:
    return [(fire.scheduled_fire_time - START).seconds for fire in handlers.calls]


@pytest.fixture
def rate(group: TimerGroup) -> Timer:
    """A timer of ten seconds."""
    return Timer.objects.get(id=schedule_fixed_rate("work", "rate", period=10).id)


class TestPauseUntil:
    def test_a_timer_fires_again_by_itself(self, rate: Timer, node: Stepper, handlers: TemporaryHandlers) -> None:
        pause_timer("work", "rate", until=START + 35 * SECOND, reason="the target is moved", actor="ann")
        node.advance(34)
        assert ran(handlers) == []
        rate.refresh_from_db()
        assert (rate.state, rate.state_reason, rate.paused_until) == (
            "paused",
            "the target is moved",
            START + 35 * SECOND,
        )
        node.advance(36)
        # What was missed meanwhile is one run, for the latest.
        assert ran(handlers) == [30, 40, 50, 60, 70]
        rate.refresh_from_db()
        assert (rate.state, rate.state_reason, rate.paused_until) == ("active", "", None)
        assert ClusterEvent.objects.get(kind="timer resumed").detail == "rate: its pause is over"

    def test_what_was_missed_follows_the_misfire_policy(
        self, rate: Timer, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        pause_timer("work", "rate", until=START + timedelta(hours=1))
        node.advance(hours=1)
        assert [(fire.missed_count, second) for fire, second in zip(handlers.calls, ran(handlers), strict=True)] == [
            (359, 3600)
        ]

    def test_a_group_fires_again_by_itself(self, rate: Timer, node: Stepper, handlers: TemporaryHandlers) -> None:
        pause_group("work", until=START + 15 * SECOND)
        node.advance(14)
        assert ran(handlers) == []
        node.advance(6)
        assert ran(handlers) == [10, 20]
        group = TimerGroup.objects.get()
        assert (group.state, group.paused_until) == ("active", None)

    def test_a_timer_of_a_paused_group_that_is_resumed_waits_for_its_group(
        self, rate: Timer, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        pause_group("work")
        pause_timer("work", "rate", until=START + 15 * SECOND)
        node.advance(30)
        assert ran(handlers) == []
        resume_group("work")
        node.advance(1)
        assert ran(handlers) == [30]

    def test_a_resume_by_hand_comes_first(self, rate: Timer, node: Stepper, handlers: TemporaryHandlers) -> None:
        pause_timer("work", "rate", until=START + 1000 * SECOND)
        resume_timer("work", "rate")
        pause_timer("work", "rate")
        node.advance(2000)
        assert ran(handlers) == [], "the end of the first pause does not end the second"

    def test_a_pause_can_be_made_longer_and_endless(
        self, rate: Timer, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        pause_timer("work", "rate", until=START + 5 * SECOND)
        pause_timer("work", "rate", until=START + 25 * SECOND)
        node.advance(15)
        assert ran(handlers) == []
        assert pause_timer("work", "rate").paused_until is None
        node.advance(1000)
        assert ran(handlers) == []

    def test_a_cancelled_timer_does_not_come_back(
        self, rate: Timer, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        pause_timer("work", "rate", until=START + 5 * SECOND)
        cancel_timer("work", "rate")
        node.advance(100)
        rate.refresh_from_db()
        assert (rate.state, rate.paused_until, handlers.calls) == ("cancelled", None, [])

    def test_a_timer_with_another_schedule_in_its_place_is_not_paused(self, rate: Timer, node: Stepper) -> None:
        pause_timer("work", "rate", until=START + 5 * SECOND)
        schedule_fixed_rate("work", "rate", period=20, on_conflict="replace")
        rate.refresh_from_db()
        assert (rate.state, rate.paused_until) == ("active", None)

    @pytest.mark.parametrize("pause", [lambda until: pause_timer("work", "rate", until=until),
                                       lambda until: pause_group("work", until=until)])  # fmt: skip
    @pytest.mark.parametrize("until", [START, START - SECOND, "yesterday", "2027-03-02T00:00:00"])
    def test_a_pause_ends_in_the_future(self, rate: Timer, pause: Callable[[Any], object], until: Any) -> None:
        with pytest.raises(InvalidRequest, match="until"):
            pause(until)
        rate.refresh_from_db()
        assert rate.state == "active"

    def test_housekeeping_is_told_when_the_next_pause_is_over(self, rate: Timer, node: Stepper) -> None:
        assert resume_elapsed(node.time.now) is None
        pause_timer("work", "rate", until=START + 30 * SECOND)
        pause_group("work", until=START + 20 * SECOND)
        assert resume_elapsed(node.time.now) == 20
        node.time.advance(20)
        assert resume_elapsed(node.time.now) == 10


@pytest.mark.parametrize("how", ["its last execution ends", "its last fire is left out", "an edit leaves no fire"])
def test_reason_and_end_of_a_pause_go_when_the_timer_finishes(
    node: Stepper, handlers: TemporaryHandlers, how: str
) -> None:
    factories.group("work")
    handlers.script("tests.noop", None, None)
    timer = schedule_fixed_rate("work", "rate", period=10, max_fires=2, end_at=START + 20 * SECOND)
    node.advance(10)
    if how == "its last execution ends":
        timer = schedule_fixed_rate("work", "committed", period=10, until_committed=True)
        node.time.advance(10)
        node.claim()
        node.run()
    pause_timer("work", timer.name, reason="holiday", until=START + 3600 * SECOND)
    if how == "its last execution ends":
        node.finish()
    elif how == "its last fire is left out":
        skip_next_fire("work", "rate")
    else:
        update_timer("work", "rate", max_fires=1)
    timer.refresh_from_db()
    assert (timer.state, timer.state_reason, timer.paused_until) == ("finished", "", None)


class TestPauseAfterFailures:
    def test_so_many_failed_executions_in_a_row_pause_the_timer(
        self, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        factories.group("work", pause_after_failures=3, retry={"max_retries": 1, "min_backoff": 1})
        timer = schedule_fixed_rate("work", "rate", period=10)
        handlers.script("tests.noop", *[ValueError("down")] * 4, None, ValueError("down"))
        node.advance(100)
        # Two executions of two tries fail, one succeeds, and then three in a row fail.
        assert words_of(timer) == ["error"] * 4 + ["succeeded"] + ["error"] * 6
        timer.refresh_from_db()
        assert (timer.state, timer.failures_in_a_row) == ("paused", 3)
        assert timer.state_reason == "paused itself: 3 executions in a row failed"
        assert timer.next_fire_at is not None

    def test_a_timer_that_is_over_with_its_failure_is_finished_without_a_reason(
        self, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        factories.group("work", pause_after_failures=1, retry={"max_retries": 0})
        timer = schedule_fixed_rate("work", "rate", period=10, until_committed=True)
        handlers.script("tests.noop", ValueError("down"))
        node.advance(15)
        timer.refresh_from_db()
        assert (timer.state, timer.state_reason, timer.failures_in_a_row) == ("finished", "", 1)

    def test_it_goes_on_when_a_person_resumes_it(self, node: Stepper, handlers: TemporaryHandlers) -> None:
        factories.group("work", pause_after_failures=1, retry={"max_retries": 0})
        timer = schedule_fixed_rate("work", "rate", period=10)
        handlers.script("tests.noop", ValueError("down"), None)
        node.advance(10)
        resume_timer("work", "rate")
        node.advance(20)
        timer.refresh_from_db()
        assert (timer.state, timer.failures_in_a_row, words_of(timer)) == (
            "active",
            0,
            ["error", "succeeded", "succeeded"],
        )

    def test_what_drops_counts_and_what_is_cancelled_does_not(self, node: Stepper, handlers: TemporaryHandlers) -> None:
        factories.group("work", pause_after_failures=2, retry={"max_retries": 0}, on_failed="drop")
        timer = schedule_fixed_rate("work", "rate", period=10)
        handlers.script("tests.noop", ValueError("down"))
        node.advance(10)
        node.time.advance(10)
        node.claim()
        (execution,) = node.held
        revoke([execution.id], timer.group_id)
        node.until_idle()
        timer.refresh_from_db()
        assert (timer.state, timer.failures_in_a_row, timer.last_outcome) == ("active", 1, "cancelled")
        node.advance(10)
        timer.refresh_from_db()
        assert timer.state == "paused"

    def test_overlapping_executions_count_too(self, node: Stepper, handlers: TemporaryHandlers) -> None:
        factories.group(
            "work", pause_after_failures=3, retry={"max_retries": 0}, overlap_policy="allow", misfire_policy="fire_all"
        )
        timer = schedule_fixed_rate("work", "rate", period=1)
        handlers.script("tests.noop", ValueError("down"))
        node.time.advance(3)
        assert len(node.claim()) == 3
        node.run()
        node.finish()
        timer.refresh_from_db()
        assert timer.state == "paused"

    def test_it_is_off_unless_it_is_asked_for(self, node: Stepper, handlers: TemporaryHandlers) -> None:
        factories.group("work", retry={"max_retries": 0})
        timer = schedule_fixed_rate("work", "rate", period=1)
        handlers.script("tests.noop", ValueError("down"))
        node.advance(30)
        timer.refresh_from_db()
        assert (timer.state, timer.failures_in_a_row) == ("active", 30)


class TestSkipNextFire:
    def test_the_next_fire_is_left_out_and_the_one_after_it_comes(
        self, rate: Timer, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        node.advance(10)
        assert skip_next_fire("work", "rate", actor="ann") == (START + 20 * SECOND, START + 30 * SECOND)
        node.advance(30)
        assert ran(handlers) == [10, 30, 40]
        (left_out,) = [row for row in finals_of(rate) if row.outcome == "skipped"]
        assert (left_out.scheduled_for, left_out.reason) == (START + 20 * SECOND, "skipped by ann")

    @pytest.mark.parametrize(
        "edit",
        [
            lambda: update_timer("work", "cron", jitter=5),
            lambda: update_timer("work", "cron", end_at=START + timedelta(days=1)),
            lambda: update_timer("work", "cron", expression="*/10 * * * * *"),
            lambda: update_timer("work", "cron", time_zone="Europe/Berlin"),
            lambda: schedule_cron("work", "cron", expression="*/10 * * * * *", on_conflict="replace"),
            lambda: schedule_cron("work", "cron", expression="*/10 * * * * *", jitter=5, on_conflict="replace"),
        ],
    )
    def test_an_edit_does_not_bring_it_back(
        self, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers, edit: Callable[[], object]
    ) -> None:
        timer = schedule_cron("work", "cron", expression="*/10 * * * * *")
        node.live_until(START + 12 * SECOND)
        skip_next_fire("work", "cron")
        skip_next_fire("work", "cron")
        edit()
        node.live_until(START + 55 * SECOND)
        assert ran(handlers) == [0, 10, 40, 50]
        assert words_of(timer) == ["succeeded"] * 2 + ["skipped"] * 2 + ["succeeded"] * 2

    def test_the_last_fire_of_a_timer_finishes_it(
        self, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        timer = schedule_fixed_rate("work", "rate", period=10, end_at=START + 15 * SECOND)
        assert skip_next_fire("work", "rate") == (START + 10 * SECOND, None)
        timer.refresh_from_db()
        assert (timer.state, words_of(timer)) == ("finished", ["skipped"])

    def test_the_last_fire_left_out_while_the_one_before_runs_does_not_come_back_at_its_end(
        self, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        timer = schedule_fixed_rate("work", "rate", period=10, end_at=START + 25 * SECOND)
        node.time.advance(10)
        node.claim()
        node.run()
        skip_next_fire("work", "rate")
        node.until_idle()
        timer.refresh_from_db()
        assert (timer.state, timer.next_fire_at, words_of(timer)) == ("finished", None, ["succeeded", "skipped"])

    def test_a_paused_timer_may_leave_its_next_one_out(
        self, rate: Timer, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        pause_timer("work", "rate")
        skip_next_fire("work", "rate")
        resume_timer("work", "rate")
        node.advance(20)
        assert ran(handlers) == [20]

    def test_a_delay_counts_from_what_was_left_out(
        self, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        schedule_fixed_delay("work", "delay", delay=10)
        assert skip_next_fire("work", "delay") == (START + 10 * SECOND, START + 20 * SECOND)

    def test_it_uses_up_none_of_the_fires(self, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
        schedule_fixed_rate("work", "rate", period=10, max_fires=2)
        skip_next_fire("work", "rate")
        node.advance(60)
        assert ran(handlers) == [20, 30]

    def test_what_has_begun_cannot_be_left_out(
        self, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        schedule_once("work", "once", after=1)
        node.time.advance(1)
        node.claim()
        node.run()
        with pytest.raises(NotAllowedNow, match="no next fire"):
            skip_next_fire("work", "once")

    def test_what_a_calendar_leaves_out_anyway_is_not_the_next_fire(
        self, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        create_calendar("night", rules=[{"cron": "0 0 * * *", "duration": "PT9H"}])
        timer = schedule_cron(
            "work", "hourly", expression="0 * * * *", overrides={"exclusion_calendars": ["night"]}, start_at=MIDNIGHT
        )
        assert skip_next_fire("work", "hourly") == (MIDNIGHT + timedelta(hours=9), MIDNIGHT + timedelta(hours=10))
        node.live_until(MIDNIGHT + timedelta(hours=11))
        rows = finals_of(timer)
        assert [(row.outcome, row.scheduled_for.hour, row.missed_count) for row in rows] == [
            ("skipped", 8, 8),
            ("skipped", 9, 0),
            ("succeeded", 10, 0),
            ("succeeded", 11, 0),
        ]
        assert rows[0].reason is not None and "night" in rows[0].reason

    def test_where_only_excluded_instants_are_left_there_is_nothing_to_leave_out(self, group: TimerGroup) -> None:
        create_calendar("night", rules=[{"cron": "0 0 * * *", "duration": "PT9H"}])
        timer = schedule_cron(
            "work", "hourly", expression="0 * * * *", overrides={"exclusion_calendars": ["night"]},
            start_at=MIDNIGHT, end_at=MIDNIGHT + timedelta(hours=5),
        )  # fmt: skip
        with pytest.raises(NotAllowedNow, match="its exclusion calendars exclude every instant that it has left"):
            skip_next_fire("work", "hourly")
        assert finals_of(timer) == []


def test_what_had_come_of_a_rule_that_is_replaced_is_one_row_with_its_count(
    rate: Timer, node: Stepper, handlers: TemporaryHandlers
) -> None:
    node.time.advance(45)
    update_timer("work", "rate", period=100)
    (row,) = finals_of(rate)
    assert (row.outcome, row.reason, row.missed_count) == ("skipped", "edited", 3)
    assert row.scheduled_for == START + 40 * SECOND


def test_a_timer_that_was_resumed_may_fail_as_often_again(node: Stepper, handlers: TemporaryHandlers) -> None:
    factories.group("work", retry={"max_retries": 0}, pause_after_failures=2)
    handlers.script("tests.noop", ValueError("down"))
    timer = schedule_fixed_rate("work", "rate", period=10)
    node.advance(20)
    timer.refresh_from_db()
    assert (timer.state, timer.failures_in_a_row) == ("paused", 2)
    resume_timer("work", "rate")
    node.advance(10)
    timer.refresh_from_db()
    assert (timer.state, timer.failures_in_a_row) == ("active", 1)
