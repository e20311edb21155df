"""40 zones (in short: each second one) x 24 rules, every day of 2020 to 2037, against a table of all walls.

The table is made without the product's code: every minute of every day is looked at once for each rule, and a zone's
clock once a day, and every five minutes on the days on which it is set. A rule that fires up to three times a day is
compared instant by instant, a denser one by the count and the latest of each year.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from tests.schedules.wall_walk import DAY, RULES, YEARS, ZONES, Rule, changes
from tests.support.profile import IS_LONG
from timers.schedules import Schedule, parse

pytestmark = pytest.mark.torture

MINUTE = timedelta(minutes=1)
EPOCH = datetime(YEARS[0] - 1, 12, 1)
START, END = (int((datetime(year, 1, 1) - EPOCH) / MINUTE) for year in (YEARS[0], YEARS[1] + 1))
FIRES_A_DAY = 3


@cache
def walls_of(number: int) -> list[int]:
    """All walls of a rule, in minutes since EPOCH, sorted."""
    rule, found = RULES[number], []
    day, minutes = EPOCH.date(), sorted(RULES[number].minutes)
    while day <= date(YEARS[1] + 1, 1, 31):
        if rule.is_day(day):
            since = (day - EPOCH.date()).days * 1_440
            found += [since + minute for minute in minutes]
        day += DAY
    return found


def stretches(zone: str) -> Iterator[tuple[int, int, int]]:
    """From, until (minutes since EPOCH, UTC) and offset in minutes between two clock changes."""
    bounds = [_minutes(change) for change in changes(zone)]
    for start, end in zip([0, *bounds], [*bounds, END + 1_440], strict=True):
        offset = _utc(start).astimezone(ZoneInfo(zone)).utcoffset()
        assert offset is not None
        yield start, end, int(offset / MINUTE)


def table(number: int, zone: str) -> list[int]:
    """The instants of a rule in a zone, in minutes since EPOCH, UTC."""
    rule, walls, found = RULES[number], walls_of(number), []
    highest = None
    for start, end, offset in stretches(zone):
        first, last = start + offset, end + offset
        if highest is not None and first > highest and rule.gap == "run_after":
            skipped = bisect_left(walls, highest) < bisect_left(walls, first)
            if skipped and walls[bisect_left(walls, first)] != first:
                found.append(start)
        if highest is not None and rule.fold == "once":
            first = max(first, highest)
        found += [wall - offset for wall in walls[bisect_left(walls, first) : bisect_left(walls, last)]]
        highest = last if highest is None else max(highest, last)
    return found[bisect_left(found, START) : bisect_left(found, END)]


@pytest.mark.parametrize("zone", ZONES if IS_LONG else ZONES[::2])
def test_every_rule_fires_as_the_table_says_on_every_day_of_18_years(zone: str) -> None:
    for number, rule in enumerate(RULES):
        schedule, instants = parse(rule.kind, rule.spec, zone), table(number, zone)
        if len(rule.minutes) <= FIRES_A_DAY:
            assert enumerated(schedule) == instants, f"{rule} in {zone}"
        else:
            by_year(rule, schedule, instants)


def enumerated(schedule: Schedule) -> list[int]:
    found, moment, end = [], schedule.first(_utc(START)), _utc(END)
    while moment is not None and moment < end:
        found.append(_minutes(moment))
        moment = schedule.next_after(moment)
    return found


def by_year(rule: Rule, schedule: Schedule, instants: list[int]) -> None:
    for year in range(YEARS[0], YEARS[1] + 1):
        start, end = (_minutes(datetime(y, 1, 1, tzinfo=UTC)) for y in (year, year + 1))
        of_year = instants[bisect_left(instants, start) : bisect_left(instants, end)]
        if not of_year:
            continue
        first = schedule.first(_utc(start))
        assert first is not None and _minutes(first) == of_year[0], f"{rule} in {year}"
        missed = schedule.missed(first, _utc(end) - timedelta(seconds=1))
        assert missed is not None
        assert (_minutes(missed.latest), missed.count) == (of_year[-1], len(of_year)), f"{rule} in {year}"


def _minutes(moment: datetime) -> int:
    return int((moment.replace(tzinfo=None) - EPOCH) / MINUTE)


def _utc(minutes: int) -> datetime:
    return (EPOCH + minutes * MINUTE).replace(tzinfo=UTC)
