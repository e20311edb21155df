from __future__ import annotations

from typing import Any

import pytest

from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import rows_of
from timers.exceptions import InvalidRequest, NotAllowedNow, StaleVersion, TimerNotFound
from timers.models import ExclusionCalendar, Timer, TimerGroup
from timers.scheduling import (
    create_calendar,
    create_group,
    delete_calendar,
    schedule_cron,
    schedule_fixed_delay,
    update_calendar,
    update_group,
    update_timer,
)
from timers.testing import START, Stepper, VirtualTime

WEEKEND = [{"weekdays": ["sat", "sun"]}]


@pytest.fixture(autouse=True)
def _(time: VirtualTime, handlers: TemporaryHandlers) -> None:
    """Every test here has virtual time."""


def daily(group: str, **options: Any) -> Timer:
    return schedule_cron(group, "daily", expression="0 9 * * *", **options)


def test_a_calendar_is_created_with_its_rules_in_one_form() -> None:
    create_calendar("free", rules=[{"weekdays": ["Sunday", "sat"]}, {"holidays": "Germany"}], time_zone="Europe/Berlin")
    row = ExclusionCalendar.objects.get()
    assert row.rules == [{"weekdays": ["sat", "sun"]}, {"holidays": "DE"}]
    assert (row.name, row.time_zone, row.version, row.created_at) == ("free", "Europe/Berlin", 1, START)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"rules": [{"weekdays": ["caturday"]}]}, "rules.0.weekdays"),
        ({"rules": "weekend"}, "rules"),
        ({"rules": WEEKEND, "time_zone": "Europe/Berlni"}, "time_zone"),
        ({"rules": WEEKEND, "description": 5}, "description"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        create_calendar("free", **fields)
    assert refused.value.field == field
    create_calendar("taken", rules=WEEKEND)
    with pytest.raises(InvalidRequest, match="taken by another"):
        create_calendar("taken", rules=[])
    assert [row.rules for row in ExclusionCalendar.objects.all()] == [WEEKEND]


def test_every_change_makes_workers_read_their_groups_again() -> None:
    create_group("billing")
    create_calendar("free", rules=WEEKEND)
    update_calendar("free", rules=[])
    update_calendar("free", description="nothing that fires changes by this")
    delete_calendar("free")
    assert TimerGroup.objects.get().version == 4


def test_a_change_of_what_someone_else_changed_meanwhile_is_refused() -> None:
    create_calendar("free", rules=WEEKEND)
    update_calendar("free", version=1, rules=[])
    with pytest.raises(StaleVersion):
        update_calendar("free", version=1, rules=WEEKEND)
    with pytest.raises(InvalidRequest, match="did you mean rules"):
        update_calendar("free", rule=WEEKEND)
    with pytest.raises(TimerNotFound):
        update_calendar("fee", rules=[])


def test_a_calendar_that_is_referred_to_is_not_deleted() -> None:
    create_calendar("free", rules=WEEKEND)
    create_group("billing", exclusion_calendars=["free"], action={"handler": "tests.noop"})
    create_group("other", action={"handler": "tests.noop"})
    daily("other", overrides={"exclusion_calendars": ["free"]})
    with pytest.raises(NotAllowedNow, match="by group billing, timer other/daily; take it off"):
        delete_calendar("free")
    update_group("billing", exclusion_calendars=[])
    update_timer("other", "daily", overrides=None)
    delete_calendar("free")
    assert not ExclusionCalendar.objects.exists()


def test_next_instants_follow_the_calendar_where_excluded_fires_move(time: VirtualTime) -> None:
    create_calendar("free", rules=[])
    create_group("billing", exclusion_calendars=["free"], on_excluded="before", action={"handler": "tests.noop"})
    schedule_cron("billing", "fifteenth", expression="0 9 15 * *")
    nominal = Timer.objects.get().next_fire_at
    assert nominal is not None
    update_calendar("free", rules=[{"dates": [nominal.date().isoformat()]}])
    assert Timer.objects.get().next_fire_at == nominal.replace(day=14)


def test_an_excluded_fire_is_recorded_as_skipped_with_its_reason(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    create_calendar("bank-holidays", rules=[{"yearly": ["03-02"], "label": "Founders' Day"}])
    update_group("work", exclusion_calendars=["bank-holidays"])
    timer = schedule_cron("work", "daily", expression="0 9 * * *")
    node.advance(days=2)
    assert [(row.scheduled_for.day, row.outcome, row.reason) for row in rows_of(timer)] == [
        (2, "skipped", "excluded by bank-holidays: Founders' Day"),
        (3, "succeeded", None),
    ]


def test_an_excluded_fire_runs_where_it_was_moved_to_and_says_so_where_it_was(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    create_calendar("free", rules=[{"yearly": ["03-02"]}, {"weekdays": ["sat", "sun"]}])
    update_group("work", exclusion_calendars=["free"], on_excluded="after")
    timer = schedule_cron("work", "noon", expression="30 12 2,7 * *", time_zone="Europe/Berlin")
    node.advance(days=8)
    assert [(row.scheduled_for.day, row.outcome, row.reason) for row in rows_of(timer)] == [
        (2, "skipped", "excluded by free: every 2 March; moved to 2027-03-03T12:30:00+01:00"),
        (3, "succeeded", None),
        (7, "skipped", "excluded by free: Sunday; moved to 2027-03-08T12:30:00+01:00"),
        (8, "succeeded", None),
    ]


def test_a_fixed_delay_that_comes_due_in_excluded_time_goes_on_when_it_ends(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    create_calendar("break", rules=[{"cron": "0 15 * * *", "duration": "PT2H"}])
    update_group("work", exclusion_calendars=["break"])
    timer = schedule_fixed_delay("work", "poll", delay=3000)  # START is noon: 12:50, 13:40, 14:30, 15:20 ...
    node.advance(hours=6)
    assert [(f"{row.scheduled_for:%H:%M}", row.outcome) for row in rows_of(timer)] == [
        ("12:50", "succeeded"), ("13:40", "succeeded"), ("14:30", "succeeded"), ("15:20", "skipped"),
        ("17:00", "succeeded"), ("17:50", "succeeded"),
    ]  # fmt: skip


def test_a_standstill_over_excluded_days_has_one_row_for_them_and_one_for_what_was_missed(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    create_calendar("weekend", rules=WEEKEND)
    update_group("work", exclusion_calendars=["weekend"])
    timer = schedule_cron("work", "hourly", expression="0 * * * *")
    node.time.advance(days=7, seconds=1)  # both Monday noons are instants
    node.until_idle()
    assert [(row.outcome, f"{row.scheduled_for:%a %H:%M}", row.missed_count) for row in rows_of(timer)] == [
        ("skipped", "Sun 23:00", 47), ("succeeded", "Mon 12:00", 120),
    ]  # fmt: skip
