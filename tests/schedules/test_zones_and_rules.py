"""40 zones and 24 rules around every clock change of 2020 to 2037, against a walk that looks at every step of time."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.schedules.wall_walk import DAY, RULES, STEP, YEARS, ZONES, Rule, changes, expected, walked
from timers.schedules import Schedule, parse


def fires(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    found, moment = [], schedule.first(start)
    while moment is not None and moment < end:
        found.append(moment)
        moment = schedule.next_after(moment)
    return found


def schedules(zone: str) -> list[tuple[Rule, Schedule]]:
    return [(rule, parse(rule.kind, rule.spec, zone)) for rule in RULES]


def differences(zone: str, start: datetime, end: datetime) -> list[str]:
    shown = walked(zone, start, end)
    return [
        f"{rule} in {zone} from {start}"
        for rule, schedule in schedules(zone)
        if fires(schedule, start, end) != expected(rule, shown)
    ]


def test_there_are_40_zones_and_24_rules_and_most_zones_set_their_clocks() -> None:
    assert (len(set(ZONES)), len(RULES)) == (40, 24)
    assert sum(len(changes(zone)) for zone in ZONES) > 800


@pytest.mark.parametrize("zone", ZONES)
def test_every_rule_fires_as_the_clock_shows_around_every_change(zone: str) -> None:
    for change in changes(zone):
        assert differences(zone, change - DAY, change + DAY) == []


@pytest.mark.parametrize("zone", ZONES)
def test_every_rule_fires_as_the_clock_shows_in_weeks_without_a_change(zone: str) -> None:
    choice = random.Random(zone)
    for _ in range(2):
        day = datetime(choice.randint(*YEARS), choice.randint(1, 12), choice.randint(1, 28), tzinfo=UTC)
        if not any(day - DAY < change < day + 8 * DAY for change in changes(zone)):
            assert differences(zone, day, day + 7 * DAY) == []


@pytest.mark.parametrize("zone", ZONES)
def test_a_time_of_day_fires_once_on_each_day_around_every_change(zone: str) -> None:
    """Nearly 3,000 runs: every change, and a time of day at its beginning, in its middle and at its end."""
    clock = ZoneInfo(zone)
    for change in changes(zone):
        before, after = ((change + n * STEP).astimezone(clock).replace(tzinfo=None) for n in (-1, 0))
        skipped_or_again = sorted((before + STEP, after))
        middle = skipped_or_again[0] + (skipped_or_again[1] - skipped_or_again[0]) / 2
        for wall in (before + STEP, middle, after):
            schedule = parse("cron", {"expression": f"{wall.minute} {wall.hour} * * *"}, zone)
            days = Counter(
                # A time that was skipped at midnight runs on the next day, for the day that it belongs to.
                (before + STEP).date() if fire == change and after.time() != wall.time() else shown.date()
                for fire in fires(schedule, change - 3 * DAY, change + 3 * DAY)
                for shown in [fire.astimezone(clock)]
            )
            assert set(days.values()) == {1}, f"{wall:%H:%M} in {zone}: {days}"
            assert len(days) in (5, 6, 7)


@pytest.mark.parametrize("zone", ZONES)
def test_what_was_missed_around_a_change_is_counted_as_if_it_were_walked_through(zone: str) -> None:
    for change in changes(zone)[::6]:
        start, end = change - 2 * DAY, change + 2 * DAY
        shown = walked(zone, start, end)
        for rule, schedule in schedules(zone):
            instants = expected(rule, shown)
            if len(instants) > 100:
                missed = schedule.missed(instants[0], end - timedelta(seconds=1))
                assert missed is not None and (missed.latest, missed.count) == (instants[-1], len(instants))
