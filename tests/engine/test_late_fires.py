"""What becomes of fires that come late (misfire) or while the execution before is open (overlap)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, rows_of, words_of
from timers.domain.policies import Policies
from timers.engine.decide import MAX_WALKED, Due, decide
from timers.models import TimerGroup
from timers.schedules import parse
from timers.schedules.instant import format_instant, to_microseconds
from timers.scheduling import pause_group, resume_group, schedule_cron, schedule_fixed_rate, schedule_once
from timers.testing import START, Stepper, VirtualTime


def test_ten_minutes_missed_are_one_execution_for_the_latest_instant_that_tells_how_many_more(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = schedule_fixed_rate("work", "rate", period=5)
    pause_group("work")
    node.time.advance(602)
    resume_group("work")
    node.until_idle()
    (fire,) = handlers.calls
    assert fire.scheduled_fire_time == START + timedelta(seconds=600)
    assert fire.missed_count == 119
    (row,) = rows_of(timer)
    assert (row.outcome, row.missed_count, row.scheduled_for) == ("succeeded", 119, START + timedelta(seconds=600))
    timer.refresh_from_db()
    assert timer.next_fire_at == START + timedelta(seconds=605)
    assert timer.fire_count == 1


def test_the_missed_count_survives_a_retry(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    schedule_fixed_rate("work", "rate", period=60)
    handlers.script("tests.noop", ValueError("down"), None)
    node.time.advance(600)
    node.until_idle()
    node.time.advance(120)
    node.until_idle()
    assert [fire.missed_count for fire in handlers.calls if fire.number_of_try == 2] == [9]


@pytest.mark.parametrize(("late", "runs"), [(60, 1), (60.000001, 0)])
def test_a_single_fire_within_the_grace_is_simply_late(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers, late: float, runs: int
) -> None:
    factories.group("work", misfire_policy="skip")
    schedule_fixed_rate("work", "rate", period=100)
    node.time.advance(100 + late)
    node.step()
    assert len(handlers.calls) == runs


def test_several_fires_that_nobody_could_make_are_missed_within_the_grace_too(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = schedule_fixed_rate("work", "rate", period=5)
    node.time.advance(37)
    node.until_idle()
    assert [(fire.scheduled_fire_time - START, fire.missed_count) for fire in handlers.calls] == [
        (timedelta(seconds=35), 6)
    ]
    assert words_of(timer) == ["succeeded"]


def test_a_one_shot_fires_however_late(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    schedule_once("work", "once", after=1)
    node.time.advance(days=30)
    node.until_idle()
    assert [fire.missed_count for fire in handlers.calls] == [0]


def test_a_missed_cron_counts_its_instants_not_the_time(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_cron("work", "weekdays", expression="0 9 * * MON-FRI")
    node.time.advance(days=14)
    node.until_idle()
    (fire,) = handlers.calls
    assert fire.scheduled_fire_time.isoformat() == "2027-03-15T09:00:00+00:00"
    assert fire.missed_count == 9


def test_what_was_missed_ends_at_end_at(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    timer = schedule_fixed_rate("work", "rate", period=10, end_at=START + timedelta(seconds=45))
    node.time.advance(1000)
    node.until_idle()
    (fire,) = handlers.calls
    assert fire.scheduled_fire_time == START + timedelta(seconds=40)
    assert fire.missed_count == 3
    timer.refresh_from_db()
    assert timer.state == "finished"


def test_fires_while_the_execution_before_is_open_are_skipped_with_a_row_each(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_fixed_rate("work", "rate", period=10)
    node.time.advance(10)
    node.claim()
    node.time.advance(25)
    assert node.claim() == []
    assert node.skipped == 2
    node.run()
    node.finish()
    node.time.advance(5)
    node.until_idle()
    assert [(row.outcome, row.reason) for row in finals_of(timer)] == [
        ("succeeded", None),
        ("skipped", "overlap"),
        ("skipped", "overlap"),
        ("succeeded", None),
    ]
    assert [row.scheduled_for for row in finals_of(timer)] == [START + timedelta(seconds=s) for s in (10, 20, 30, 40)]
    timer.refresh_from_db()
    assert timer.fire_count == 2


def test_a_retry_that_waits_keeps_the_execution_open(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = schedule_fixed_rate("work", "rate", period=100)
    handlers.script("tests.noop", ValueError("down"), None)
    node.play(seconds=300, every=10)
    assert words_of(timer) == ["error", "succeeded", "skipped", "succeeded"]


def test_a_failed_execution_opens_the_way_for_the_next_fire(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work", retry={"max_retries": 0})
    timer = schedule_fixed_rate("work", "rate", period=10)
    handlers.script("tests.noop", ValueError("down"))
    node.play(seconds=30, every=10)
    assert words_of(timer) == ["error", "error", "error"]
    timer.refresh_from_db()
    assert (timer.last_outcome, timer.failures_in_a_row, timer.state) == ("failed", 3, "active")
    handlers.add("tests.noop")
    node.play(seconds=10, every=10)
    timer.refresh_from_db()
    assert (timer.last_outcome, timer.failures_in_a_row) == ("succeeded", 0)


def test_very_many_skips_are_told_in_a_bounded_number_of_rows() -> None:
    schedule = parse("fixed_rate", {"period": 0.001, "anchor": format_instant(START)})
    start_us = to_microseconds(START)
    due = Due(schedule, start_us, is_open=True)
    decision = decide(due, Policies(misfire_grace=7200), start_us + 3_600_000_000)
    assert len(decision.skipped) == MAX_WALKED + 1
    assert len(decision.skipped) + sum(count for _, _, count in decision.skipped) == 3_600_001
    assert decision.next_us == start_us + 3_600_001_000
    assert not decision.fires
    assert not decision.finished


def test_a_timer_whose_last_instant_is_skipped_is_finished(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_fixed_rate("work", "rate", period=10, end_at=START + timedelta(seconds=25))
    node.time.advance(10)
    node.claim()
    node.time.advance(20)
    node.step()
    node.time.advance(100)
    assert node.until_idle() == []
    timer.refresh_from_db()
    assert words_of(timer) == ["succeeded", "skipped"]
    assert (timer.state, timer.open_execution, timer.next_fire_at) == ("finished", None, None)
