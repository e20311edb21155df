"""Edits of schedules: what they go on counting from, and the bounds that end them."""

from __future__ import annotations

import pytest

from tests.control.edited_timers import (
    DAY,
    KINDS,
    NAME,
    SECOND,
    derived,
    instants,
    redefined,
    schedule,
)
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of
from timers.exceptions import InvalidRequest
from timers.models import Timer, TimerGroup, Waiting
from timers.scheduling import (
    schedule_cron,
    schedule_fixed_delay,
    schedule_fixed_rate,
    schedule_rrule,
    schedule_timer,
    update_timer,
)
from timers.testing import START, Stepper


class TestAnchors:
    def test_another_period_counts_from_start_at_as_before(self, group: TimerGroup, node: Stepper) -> None:
        schedule_fixed_rate("work", NAME, period=3600, start_at=START + 5 * SECOND)
        node.advance(400)
        timer = update_timer("work", NAME, period=600)
        assert timer.next_fire_at == START + 605 * SECOND

    def test_another_period_of_a_rate_without_start_counts_from_where_it_counted(
        self, group: TimerGroup, node: Stepper
    ) -> None:
        schedule_fixed_rate("work", NAME, period=3600)
        node.advance(400)
        assert update_timer("work", NAME, period=600).next_fire_at == START + 600 * SECOND
        again = schedule_fixed_rate("work", NAME, period=500, on_conflict="replace")
        assert again.next_fire_at == START + 500 * SECOND

    def test_another_start_at_is_counted_from(self, group: TimerGroup) -> None:
        schedule_fixed_rate("work", NAME, period=600, start_at=START + 5 * SECOND)
        timer = update_timer("work", NAME, start_at=START + 77 * SECOND)
        assert timer.next_fire_at == START + 77 * SECOND
        assert update_timer("work", NAME, period=100).next_fire_at == START + 77 * SECOND

    def test_a_timer_that_becomes_a_rate_counts_from_its_start_at(self, group: TimerGroup, node: Stepper) -> None:
        schedule_cron("work", NAME, expression="0 * * * *", start_at=START + 5 * SECOND)
        node.advance(100)
        assert update_timer("work", NAME, period=600).next_fire_at == START + 605 * SECOND

    @pytest.mark.parametrize("by", ["update", "replace"])
    @pytest.mark.parametrize("days_later", range(1, 15, 3))
    def test_another_hour_keeps_the_weeks_of_a_biweekly_rule(
        self, by: str, days_later: int, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        rule = "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO;BYHOUR={};BYMINUTE=0;BYSECOND=0"
        timer = schedule_rrule("work", NAME, rule=rule.format(17))
        node.advance(days=days_later)
        if by == "update":
            update_timer("work", NAME, rule=rule.format(18))
        else:
            schedule_rrule("work", NAME, rule=rule.format(18), on_conflict="replace")
        node.advance(days=40)
        weeks = {(at - START).days // 7 for at in instants(timer)}
        assert weeks >= {2, 4}
        assert not any(week % 2 for week in weeks)

    def test_another_hour_keeps_the_day_of_a_monthly_rule(self, group: TimerGroup, node: Stepper) -> None:
        schedule_rrule("work", NAME, rule="FREQ=MONTHLY;BYHOUR=17;BYMINUTE=0;BYSECOND=0")
        node.advance(days=9)
        timer = update_timer("work", NAME, rule="FREQ=MONTHLY;BYHOUR=18;BYMINUTE=0;BYSECOND=0")
        assert timer.next_fire_at is not None
        assert timer.next_fire_at.isoformat() == "2027-04-01T18:00:00+00:00"

    def test_another_zone_keeps_the_wall_that_a_rule_counts_from(self, group: TimerGroup, node: Stepper) -> None:
        rule = "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO;BYHOUR=9;BYMINUTE=0;BYSECOND=0"
        schedule_rrule("work", NAME, rule=rule, time_zone="Europe/Berlin", start_at="2027-03-08T00:00:00+01:00")
        timer = update_timer("work", NAME, time_zone="America/New_York")
        assert timer.next_fire_at is not None
        assert timer.next_fire_at.isoformat() == "2027-03-08T14:00:00+00:00"

    def test_another_zone_leaves_what_follows_no_wall_clock(self, group: TimerGroup, node: Stepper) -> None:
        for kind in ("once", "rate", "delay"):
            timer = schedule_timer({**KINDS[kind], "group": "work", "name": kind})
            node.advance(50)
            assert update_timer("work", kind, time_zone="Asia/Tokyo").next_fire_at == timer.next_fire_at

    def test_another_delay_counts_from_the_end_of_the_run_before(
        self, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        schedule_fixed_delay("work", NAME, delay=100)
        node.advance(100)
        node.advance(30)
        assert update_timer("work", NAME, delay=50).next_fire_at == START + 150 * SECOND
        assert update_timer("work", NAME, delay=300).next_fire_at == START + 400 * SECOND
        assert update_timer("work", NAME, delay=10).next_fire_at == START + 130 * SECOND, "the end was 30 s ago"

    def test_an_end_of_a_delay_with_a_start_that_has_passed_brings_no_further_run(
        self, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        timer = schedule("delay with start")
        node.advance(200)
        due = derived(timer)["next_fire_at"]
        assert update_timer("work", NAME, end_at=START + DAY).next_fire_at == due


class TestBounds:
    @pytest.mark.parametrize("by", ["update", "replace"])
    def test_fires_that_are_used_up_finish_the_timer(
        self, by: str, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        timer = schedule("rate")
        node.advance(2200)
        if by == "update":
            update_timer("work", NAME, max_fires=2)
        else:
            redefined("rate", max_fires=2)
        timer.refresh_from_db()
        assert (timer.fire_count, timer.state, timer.next_fire_at) == (3, "finished", None)

    def test_fires_that_are_used_up_give_up_what_is_due_with_a_row(self, group: TimerGroup, node: Stepper) -> None:
        timer = schedule("rate")
        node.advance(1500)
        node.time.advance(1400)
        update_timer("work", NAME, max_fires=1)
        row = finals_of(timer)[-1]
        assert (row.outcome, row.reason, row.missed_count) == ("skipped", "edited", 1)
        assert derived(timer)["state"] == "finished"

    def test_fires_that_are_used_up_delete_a_timer_that_is_not_kept(self, group: TimerGroup, node: Stepper) -> None:
        schedule("rate", overrides={"on_finish": "delete"})
        node.advance(1500)
        update_timer("work", NAME, max_fires=1)
        assert not Timer.objects.exists()

    def test_a_running_delay_whose_fires_are_used_up_ends_with_its_run(
        self, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        timer = schedule("delay")
        node.time.advance(700)
        node.claim()
        update_timer("work", NAME, max_fires=1)
        node.until_idle()
        assert derived(timer)["state"] == "finished"
        assert not Waiting.objects.exists()

    @pytest.mark.parametrize("late", [0, 701], ids=["to come", "due"])
    def test_an_end_before_the_next_fire_is_refused(self, late: float, group: TimerGroup, node: Stepper) -> None:
        timer = schedule("rate")
        node.time.advance(late)
        with pytest.raises(InvalidRequest, match="end_at: is before the"):
            update_timer("work", NAME, end_at=START + 60 * SECOND)
        assert derived(timer)["state"] == "active"

    def test_more_fires_are_counted_with_those_that_were(
        self, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        timer = schedule("rate", max_fires=3)
        node.advance(1500)
        redefined("rate", max_fires=4)
        node.advance(20_000)
        assert len(instants(timer)) == 4
