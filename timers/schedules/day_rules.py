"""Day rules: which days of a month match, by number, by day of the week, or counted from the month's end.

Days of the week are numbered as in cron: 0 is Sunday, 6 is Saturday.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

SUNDAY, SATURDAY = 0, 6


class MonthShape(NamedTuple):
    """Everything that the days of a month depend on: there are 28 such shapes."""

    first_weekday: int
    length: int

    def weekday(self, day: int) -> int:
        return (self.first_weekday + day - 1) % 7

    def first(self, weekday: int) -> int:
        """Return the first day of the month that is this day of the week."""
        return 1 + (weekday - self.first_weekday) % 7


def month_shape(year: int, month: int) -> MonthShape:
    monday_is_0, length = monthrange(year, month)
    return MonthShape((monday_is_0 + 1) % 7, length)


class DayTerm(Protocol):
    """One term of a rule: some days of each month, possibly none in this one."""

    def days(self, month: MonthShape) -> Iterable[int]: ...


@dataclass(frozen=True, slots=True)
class Numbers:
    """Days by number; those that a month does not have are ignored."""

    numbers: frozenset[int]

    def days(self, month: MonthShape) -> Iterable[int]:
        return [day for day in self.numbers if day <= month.length]


@dataclass(frozen=True, slots=True)
class BeforeLast:
    """The day that is this many days before the last day of the month: 0 is the last day itself."""

    distance: int

    def days(self, month: MonthShape) -> Iterable[int]:
        return [month.length - self.distance] if month.length > self.distance else []


@dataclass(frozen=True, slots=True)
class NearestWeekday:
    """The day from Monday to Friday that is nearest to a day, in the same month (Quartz' W)."""

    to: Numbers | BeforeLast

    def days(self, month: MonthShape) -> Iterable[int]:
        return [self._nearest(day, month) for day in self.to.days(month)]

    def _nearest(self, day: int, month: MonthShape) -> int:
        weekday = month.weekday(day)
        if weekday == SATURDAY:
            return day - 1 if day > 1 else day + 2
        if weekday == SUNDAY:
            return day + 1 if day < month.length else day - 2
        return day


@dataclass(frozen=True, slots=True)
class Weekdays:
    """Days by the day of the week."""

    weekdays: frozenset[int]

    def days(self, month: MonthShape) -> Iterable[int]:
        return [day for weekday in self.weekdays for day in range(month.first(weekday), month.length + 1, 7)]


@dataclass(frozen=True, slots=True)
class NthWeekday:
    """The nth day of that weekday in the month, 1 to 5; not every month has a fifth."""

    nth: int
    weekday: int

    def days(self, month: MonthShape) -> Iterable[int]:
        day = month.first(self.weekday) + 7 * (self.nth - 1)
        return [day] if day <= month.length else []


@dataclass(frozen=True, slots=True)
class LastWeekday:
    """The last day of that weekday in the month."""

    weekday: int

    def days(self, month: MonthShape) -> Iterable[int]:
        return [month.length - (month.weekday(month.length) - self.weekday) % 7]


@dataclass(frozen=True, slots=True)
class DayRange:
    """From one day to another, both single days; wraps around the month's end if the first comes after the second.

    "27-3" is "27 to the last, 1 to 3" (Jakarta Enterprise Beans, calendar-based time expressions). A month without such
    a day, as with the fifth Sunday, has no such range.
    """

    start: DayTerm
    end: DayTerm

    def days(self, month: MonthShape) -> Iterable[int]:
        start, end = _single(self.start, month), _single(self.end, month)
        if start is None or end is None:
            return []
        if start <= end:
            return range(start, min(end, month.length) + 1)
        if start > month.length and isinstance(self.end, BeforeLast):
            return []  # "30 to the last" wraps around in no month: February has none of these days
        return [*range(start, month.length + 1), *range(1, end + 1)]


@dataclass(frozen=True, slots=True)
class DayRule:
    """Days that match both the terms of the month and those of the week, or either of them.

    Within `of_month` and within `of_week`, a day must match only one term. None matches every day.
    """

    of_month: tuple[DayTerm, ...] | None = None
    of_week: tuple[DayTerm, ...] | None = None
    either: bool = False

    def days(self, year: int, month: int) -> tuple[int, ...]:
        """Return the matching days of a month, sorted."""
        return _days_in(self, month_shape(year, month))


EVERY_DAY = DayRule()


@lru_cache(maxsize=16_384)
def _days_in(rule: DayRule, month: MonthShape) -> tuple[int, ...]:
    every = frozenset(range(1, month.length + 1))
    of_month = _union(rule.of_month, month, every)
    of_week = _union(rule.of_week, month, every)
    return tuple(sorted(of_month | of_week if rule.either else of_month & of_week))


def _union(terms: tuple[DayTerm, ...] | None, month: MonthShape, every: frozenset[int]) -> frozenset[int]:
    return every if terms is None else frozenset(day for term in terms for day in term.days(month))


def _single(term: DayTerm, month: MonthShape) -> int | None:
    if isinstance(term, Numbers):  # also one beyond the month's end: "27-31" goes up to that end
        return next(iter(term.numbers))
    return next(iter(term.days(month)), None)
