"""Wall patterns: which walls match a rule of times of day, days, months and years, independent of the time zone.

A *wall* is what a clock on the wall shows: a naive datetime, here of whole seconds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import isleap, monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, date, datetime

from timers.schedules.day_rules import EVERY_DAY, DayRule
from timers.schedules.matching_days import month_bounds
from timers.schedules.second_masks import mask_of_times
from timers.schedules.times_of_day import TimesOfDay

EVERY_MONTH = tuple(range(1, 13))
# One year of each kind, leap years first: what matches no day of these never matches.
_EVERY_KIND_OF_YEAR = (2000, 2004, 2008, 2012, 2016, 2020, 2024, 2001, 2002, 2003, 2005, 2006, 2009, 2010)


@dataclass(frozen=True, slots=True)
class WallPattern:
    """These times of day, on the days of these months and years that match the day rule."""

    times: TimesOfDay
    days: DayRule = EVERY_DAY
    months: tuple[int, ...] = EVERY_MONTH
    """Sorted, not empty."""
    years: tuple[int, ...] | None = None
    """Sorted, not empty; None: every year."""

    def after(self, wall: datetime) -> datetime | None:
        """Return the first matching wall strictly after `wall`; None if years or the calendar end before it."""
        year, month, day = wall.year, wall.month, wall.day
        days = self._days(year, month)
        second = None
        if day in days:
            second = self.times.after(wall.hour * 3_600 + wall.minute * 60 + wall.second)
        if second is not None:
            return _wall(year, month, day, second)
        found = bisect_right(days, day)
        while found == len(days):
            year, month = self._month_after(year, month)
            if year > MAXYEAR:
                return None
            days, found = self.days.days(year, month), 0
        return _wall(year, month, days[found], self.times.after(-1) or 0)

    def count(self, start: datetime, end: datetime) -> int:
        """Return the number of matching walls from `start` to before `end`; takes about a microsecond per month."""
        if end <= start:
            return 0
        if start.date() == end.date():
            if start.day not in self._days(start.year, start.month):
                return 0
            return self.times.count_before(_second_of_day(end)) - self.times.count_before(_second_of_day(start))
        days = sum(len(self.days.days(year, month)) for year, month in self._months_between(start, end))
        count = 0
        for bound, sign in ((start, -1), (end, 1)):
            days_there = self._days(bound.year, bound.month)
            if bound.day in days_there:
                count += sign * self.times.count_before(_second_of_day(bound))
            before = bisect_left(days_there, bound.day)
            days -= before if sign < 0 else len(days_there) - before
        return count + days * self.times.total

    def meaning(self) -> object:
        """Return a value that is equal for equal times, years and days, whatever the form of the day rules."""
        days = {month: tuple(self.days.days(year, month) for year in _EVERY_KIND_OF_YEAR) for month in self.months}
        return self.times, self.years, {month: each for month, each in days.items() if any(each)}

    def masks(self, first: int, last: int) -> Iterator[int]:
        """Yield the matching seconds of each day from one to another (proleptic ordinals), see second_masks.py."""
        mask, day = mask_of_times(self.times), date.fromordinal(first)
        while first <= last:
            length = monthrange(day.year, day.month)[1]
            days = self._days(day.year, day.month)
            for number in range(day.day, min(length, day.day + last - first) + 1):
                yield mask if number in days else 0
            first += length - day.day + 1
            day = date.fromordinal(first)

    def row(self, year: int) -> bytes:
        """Return one byte for each day of a year: 1 if it matches at any time of the day."""
        length = 365 + isleap(year)
        row = bytearray(length)
        if self._has_year(year):
            bounds = month_bounds(length)
            for month in self.months:
                before = bounds[month - 1][0] - 1
                for day in self.days.days(year, month):
                    row[before + day] = 1
        return bytes(row)

    def has_day(self, day: date) -> bool:
        """Return whether it matches at any time of a day."""
        return day.day in self._days(day.year, day.month)

    def ever_matches(self) -> bool:
        """Return whether any wall matches, past or future."""
        years = _EVERY_KIND_OF_YEAR if self.years is None else _one_of_each_kind(self.years)
        return any(self.days.days(year, month) for year in years for month in self.months)

    def _days(self, year: int, month: int) -> tuple[int, ...]:
        return self.days.days(year, month) if month in self.months and self._has_year(year) else ()

    def _has_year(self, year: int) -> bool:
        if self.years is None:
            return True
        found = bisect_left(self.years, year)
        return found < len(self.years) and self.years[found] == year

    def _month_after(self, year: int, month: int) -> tuple[int, int]:
        """Return the next month of the pattern; a year beyond the calendar if there is none."""
        later = bisect_right(self.months, month)
        if later < len(self.months) and self._has_year(year):
            return year, self.months[later]
        if self.years is None:
            return year + 1, self.months[0]
        later = bisect_right(self.years, year)
        return self.years[later] if later < len(self.years) else MAXYEAR + 1, self.months[0]

    def _months_between(self, start: datetime, end: datetime) -> Iterator[tuple[int, int]]:
        """Yield the months of the pattern from that of `start` to that of `end`, both included."""
        for year in range(start.year, end.year + 1):
            if self._has_year(year):
                for month in self.months:
                    if (start.year, start.month) <= (year, month) <= (end.year, end.month):
                        yield year, month


def _one_of_each_kind(years: tuple[int, ...]) -> Iterable[int]:
    """Return one of each kind among these years: thousands of years cost no more than a few."""
    found: dict[tuple[int, bool], int] = {}
    for year in years:
        found[date(year, 1, 1).weekday(), isleap(year)] = year
        if len(found) == len(_EVERY_KIND_OF_YEAR):
            break
    return found.values()


def _second_of_day(wall: datetime) -> int:
    """Return the first whole second of the day that is not before the wall."""
    return wall.hour * 3_600 + wall.minute * 60 + wall.second + (wall.microsecond > 0)


def _wall(year: int, month: int, day: int, second: int) -> datetime:
    return datetime(year, month, day, second // 3_600, second // 60 % 60, second % 60)
