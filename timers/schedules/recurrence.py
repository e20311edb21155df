"""Recurrence: the walls of a recurrence rule of iCalendar (RFC 5545, section 3.3.10).

A rule is expanded month by month, and what was expanded is remembered: the answer for a wall far from the start costs
as much as one near it, and a rule that matches nothing is found out after 40 years of its calendar.

python-dateutil expands the same rules, but walks from the start, and on and on where nothing matches. It is what the
tests compare with.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import MAXYEAR, datetime, timedelta
from typing import NamedTuple

from timers.schedules.recurrence_month import expand
from timers.schedules.rrule_text import RuleParts
from timers.schedules.times_of_day import TimesOfDay

YEARS_SEARCHED = 40
"""How far from a wall the next one is looked for."""
_MOST_MONTHS = 1_000
_SECOND = timedelta(seconds=1)


class _Month(NamedTuple):
    days: tuple[int, ...]
    times: tuple[TimesOfDay, ...]
    """Of each of these days."""
    total: int


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The walls of a rule, from its start on."""

    parts: RuleParts
    start: datetime
    """A wall of whole seconds: the first that may match, and what the rule takes what it does not say from."""
    last: datetime | None = None
    """The last wall that may match."""
    _months: dict[tuple[int, int], _Month] = field(default_factory=dict, repr=False, compare=False)

    def after(self, wall: datetime) -> datetime | None:
        """The first matching wall strictly after `wall`; None when there is none in the next 40 years."""
        wall = max(wall, self.start - _SECOND)
        if self.last is not None and wall >= self.last:
            return None
        found = self._in_month(wall)
        year, month = wall.year, wall.month
        end = min(wall.year + YEARS_SEARCHED, MAXYEAR, MAXYEAR if self.last is None else self.last.year)
        while found is None:
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
            if year > end:
                return None
            there = self._month(year, month)
            if there.days:
                found = _wall(year, month, there.days[0], there.times[0].after(-1) or 0)
        return found if self.last is None or found <= self.last else None

    def first(self) -> datetime | None:
        """The first wall of all; None when there is none within 40 years of the start."""
        return self.after(self.start - _SECOND)

    def count(self, start: datetime, end: datetime) -> int:
        """How many walls match from `start` to before `end`."""
        start = max(start, self.start)
        if self.last is not None:
            end = min(end, self.last + _SECOND)
        if end <= start:
            return 0
        count = self._before(end) - self._before(start)
        year, month = start.year, start.month
        while (year, month) < (end.year, end.month):
            count += self._month(year, month).total
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        return count

    def nth(self, number: int, years: int) -> datetime | None:
        """The nth wall, counted from 1, when it lies within so many years of the start."""
        left = number + self._before(self.start)
        for months in range(self.start.month - 1, self.start.month - 1 + years * 12):
            there = self._month(self.start.year + months // 12, months % 12 + 1)
            if there.total < left:
                left -= there.total
                continue
            for day, times in zip(there.days, there.times, strict=True):
                if times.total >= left:
                    return _wall(self.start.year + months // 12, months % 12 + 1, day, _nth(times, left))
                left -= times.total
        return None

    def _in_month(self, wall: datetime) -> datetime | None:
        there = self._month(wall.year, wall.month)
        at = bisect_left(there.days, wall.day)
        if at < len(there.days) and there.days[at] == wall.day:
            second = there.times[at].after(_second_of_day(wall))
            if second is not None:
                return _wall(wall.year, wall.month, wall.day, second)
            at += 1
        if at == len(there.days):
            return None
        return _wall(wall.year, wall.month, there.days[at], there.times[at].after(-1) or 0)

    def _before(self, wall: datetime) -> int:
        """How many walls of its month lie before a wall."""
        there = self._month(wall.year, wall.month)
        at = bisect_left(there.days, wall.day)
        count = sum(times.total for times in there.times[:at])
        if at < len(there.days) and there.days[at] == wall.day:
            count += there.times[at].count_before(_second_of_day(wall) + (wall.microsecond > 0))
        return count

    def _month(self, year: int, month: int) -> _Month:
        there = self._months.get((year, month))
        if there is None:
            there = self._expanded(year, month)
            if len(self._months) >= _MOST_MONTHS:
                self._months.clear()
            self._months[year, month] = there
        return there

    def _expanded(self, year: int, month: int) -> _Month:
        expanded = expand(self.parts, self.start, year, month)
        times = tuple(times for _, times in expanded)
        return _Month(tuple(day for day, _ in expanded), times, sum(part.total for part in times))


def _nth(times: TimesOfDay, number: int) -> int:
    """The nth of some times of day, counted from 1."""
    return bisect_left(range(86_400), number, key=lambda second: times.count_before(second + 1))


def _second_of_day(wall: datetime) -> int:
    return wall.hour * 3_600 + wall.minute * 60 + wall.second


def _wall(year: int, month: int, day: int, second: int) -> datetime:
    return datetime(year, month, day, second // 3_600, second // 60 % 60, second % 60)
