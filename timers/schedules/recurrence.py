"""Recurrence: walls of an iCalendar recurrence rule (RFC 5545, section 3.3.10).

A rule is computed year by year (see recurrence_years.py), and a year costs about ten microseconds whatever the rule. A
wall far from the start costs as much as one near it, the last wall of COUNT is found by the totals of the years, and a
rule that matches nothing is detected after 40 years of its calendar.

python-dateutil expands the same rules, but it walks from the start, and endlessly if nothing matches. The tests compare
with it.
"""

from __future__ import annotations

from calendar import isleap
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import MAXYEAR, date, datetime, timedelta

from timers.schedules.recurrence_years import RuleYears, SteppedYears, years_of
from timers.schedules.rrule_text import RuleParts
from timers.schedules.second_masks import mask_between, mask_of_times
from timers.schedules.times_of_day import TimesOfDay

YEARS_SEARCHED = 40
"""Number of years in which the next wall is searched."""
_MOST_YEARS = 4
"""Number of years whose days are cached: the present one, and those around it for a preview or a count."""
_MOST_SEARCHES = 50
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Walls of a rule, from its start on."""

    parts: RuleParts
    start: datetime
    """A wall of whole seconds: the first that may match, and the default of the parts that the rule omits."""
    last: datetime | None = None
    """The last wall that may match."""
    _years: RuleYears | None = field(init=False, repr=False, compare=False)
    _days: dict[int, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)
    _followed_by: dict[int, int | None] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Years, and the next year in which the rule fires: finding it may require reading 40 years."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_years", years_of(self.parts, self.start))

    def after(self, wall: datetime) -> datetime | None:
        """Return the first matching wall strictly after `wall`; None if there is none in the next 40 years."""
        wall = max(wall, self.start - _SECOND)
        if self._years is None or (self.last is not None and wall >= self.last):
            return None
        year, day = wall.year, _day_of_year(wall)
        days = self._days_of(year)
        if days[day] and (second := self._years.times(year, day).after(_second_of_day(wall))) is not None:
            return self._bounded(_wall(year, day, second))
        found = days.find(1, day + 1)
        if found < 0:
            following = self._year_after(year)
            if following is None:
                return None
            year, found = following, self._days_of(following).find(1)
        return self._bounded(_wall(year, found, self._years.times(year, found).after(-1) or 0))

    def first(self) -> datetime | None:
        """Return the first wall; None if there is none within 40 years of the start."""
        return self.after(self.start - _SECOND)

    def count(self, start: datetime, end: datetime) -> int:
        """Return the number of matching walls from `start` to before `end`."""
        start = max(start, self.start)
        if self.last is not None:
            end = min(end, self.last + _SECOND)
        if self._years is None or end <= start:
            return 0
        if start.date() == end.date():
            return self._before_in_day(end) - self._before_in_day(start)
        count = self._before(end) - self._before(start)
        return count + sum(self._years.total(year) for year in range(start.year, end.year))

    def masks(self, first: int, last: int) -> Iterator[int]:
        """Yield the matching seconds of each day from one to another (proleptic ordinals), see second_masks.py."""
        begin = self.start.toordinal()
        end = last if self.last is None else min(last, self.last.toordinal())
        new_year, days = first, b""
        for ordinal in range(first, last + 1):
            if self._years is None or not begin <= ordinal <= end:
                yield 0
                continue
            if ordinal >= new_year + len(days):
                year = date.fromordinal(ordinal).year
                new_year, days = date(year, 1, 1).toordinal(), self._years.days(year)
            day = ordinal - new_year
            mask = mask_of_times(self._years.times(year, day)) if days[day] else 0
            if ordinal == begin:
                mask &= ~mask_between(0, _second_of_day(self.start))
            if self.last is not None and ordinal == end == self.last.toordinal():
                mask &= mask_between(0, _second_of_day(self.last) + 1)
            yield mask

    def nth(self, number: int, years: int) -> datetime | None:
        """Return the nth wall, counted from 1, if it is within that many years of the start's month."""
        if self._years is None:
            return None
        if isinstance(self._years, SteppedYears) and (span := self._years.steady_seconds) is not None:
            try:
                first = self.first()
                found = None if first is None else first + _SECOND * (span * (number - 1))
            except OverflowError:
                return None
        else:
            found = self._counted(number + self._before(self.start), years)
        is_within = found is not None and (found.year - years, found.month) < (self.start.year, self.start.month)
        return found if is_within else None

    def _counted(self, number: int, years: int) -> datetime | None:
        """Return the nth wall from the beginning of the start's year on."""
        assert self._years is not None
        for year in range(self.start.year, min(self.start.year + years, MAXYEAR) + 1):
            total = self._years.total(year)
            if number > total:
                number -= total
                continue
            # The last day with fewer walls before it than that.
            low, high = 0, 365 + isleap(year) - 1
            while low < high:
                middle = (low + high + 1) // 2
                if self._years.total(year, middle) < number:
                    low = middle
                else:
                    high = middle - 1
            number -= self._years.total(year, low)
            return _wall(year, low, _nth(self._years.times(year, low), number))
        return None

    def _before(self, wall: datetime) -> int:
        """Return the number of walls of its year before a wall."""
        assert self._years is not None
        return self._years.total(wall.year, _day_of_year(wall)) + self._before_in_day(wall)

    def _before_in_day(self, wall: datetime) -> int:
        """Return the number of walls of its day before a wall."""
        assert self._years is not None
        day = _day_of_year(wall)
        if not self._days_of(wall.year)[day]:
            return 0
        return self._years.times(wall.year, day).count_before(_second_of_day(wall) + (wall.microsecond > 0))

    def _year_after(self, year: int) -> int | None:
        """Return the first year after this one in which the rule fires; None if there is none within 40."""
        found = self._followed_by.get(year, 0)
        if found == 0:
            end = min(year + YEARS_SEARCHED, MAXYEAR, MAXYEAR if self.last is None else self.last.year)
            found = next((each for each in range(year + 1, end + 1) if 1 in self._days_of(each)), None)
            if len(self._followed_by) >= _MOST_SEARCHES:
                self._followed_by.clear()
            self._followed_by[year] = found
        return found

    def _bounded(self, wall: datetime) -> datetime | None:
        return wall if self.last is None or wall <= self.last else None

    def _days_of(self, year: int) -> bytes:
        days = self._days.get(year)
        if days is None:
            assert self._years is not None
            days = self._years.days(year)
            if len(self._days) >= _MOST_YEARS:
                self._days.clear()
            self._days[year] = days
        return days


def _nth(times: TimesOfDay, number: int) -> int:
    """Return the nth of some times of day, counted from 1."""
    low, high = 0, 86_399
    while low < high:
        middle = (low + high) // 2
        if times.count_before(middle + 1) >= number:
            high = middle
        else:
            low = middle + 1
    return low


def _day_of_year(wall: datetime) -> int:
    return wall.toordinal() - date(wall.year, 1, 1).toordinal()


def _second_of_day(wall: datetime) -> int:
    return wall.hour * 3_600 + wall.minute * 60 + wall.second


def _wall(year: int, day: int, second: int) -> datetime:
    return datetime(year, 1, 1) + _DAY * day + _SECOND * second
