"""Days of a year that the BY parts of a recurrence rule match, whatever its FREQ and INTERVAL.

A year is a row of bytes, one for each day, 1 if the day matches: Python itself searches and counts rows, and 28 rows,
one for each kind of year, describe a rule completely. Rows are composed of months, of which there are 28 kinds as well,
so that a long list of numbers is evaluated once for each kind of month, not for each month. So the cost of a rule is
bounded by construction: no search walks day by day.
"""

from __future__ import annotations

from calendar import isleap
from datetime import date
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

_MONTH_LENGTHS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SET: Final = b"\x01"


class YearKind(NamedTuple):
    """Everything that the days of a year depend on. Days of the week count from 0 (Sunday)."""

    first_weekday: int
    length: int
    length_before: int = 365
    """Length of the year before; length_after is that of the year after: weeks around New Year belong to either."""
    length_after: int = 365


class DayFilter(NamedTuple):
    """BY parts that choose days; empty if the rule has none. See rrule_text.RuleParts."""

    weekdays: tuple[tuple[int, int], ...]
    month_days: tuple[int, ...]
    year_days: tuple[int, ...]
    weeks: tuple[int, ...]
    months: tuple[int, ...]
    week_start: int
    counts_in_year: bool
    """Whether 2TU is the second Tuesday of the year, instead of the month."""


class MatchingDays:
    """Matching days of every year. Immutable except for its cache, which is thread-safe."""

    def __init__(self, day_filter: DayFilter) -> None:
        self._filter = day_filter
        self._rows: dict[YearKind, bytes] = {}

    @property
    def are_all(self) -> bool:
        """Whether every day matches."""
        by = self._filter
        return not (by.weekdays or by.month_days or by.year_days or by.weeks or by.months)

    def of_year(self, year: int) -> bytes:
        """Return one byte for each day of the year: 1 if it matches."""
        length = 365 + isleap(year)
        first_weekday = date(year, 1, 1).isoweekday() % 7
        if self._filter.weeks:
            kind = YearKind(first_weekday, length, 365 + isleap(year - 1), 365 + isleap(year + 1))
        else:
            kind = YearKind(first_weekday, length)
        row = self._rows.get(kind)
        if row is None:
            row = self._rows[kind] = _row(self._filter, kind)
        return row


@lru_cache(maxsize=1024)
def matching_days(day_filter: DayFilter) -> MatchingDays:
    """Return the same object for the same filter, so that rules that differ in other parts share its cache."""
    return MatchingDays(day_filter)


@lru_cache(maxsize=2)
def month_bounds(length: int) -> tuple[tuple[int, int], ...]:
    """Return, for each month of a year of that length, the index of its first day and of the first day after it."""
    starts = [0]
    for month, days in enumerate(_MONTH_LENGTHS):
        starts.append(starts[-1] + days + (month == 1 and length == 366))
    return tuple(pairwise(starts))


def both(first: bytes | bytearray, second: bytes | bytearray) -> bytes:
    """Return the days that are set in both rows, which have equal lengths."""
    return (int.from_bytes(first) & int.from_bytes(second)).to_bytes(len(first))


def either(first: bytes | bytearray, second: bytes | bytearray) -> bytes:
    """Return the days that are set in at least one of the rows, which have equal lengths."""
    return (int.from_bytes(first) | int.from_bytes(second)).to_bytes(len(first))


def every(length: int, first: int, step: int) -> bytes:
    """Return a row with every `step`th day set, from a non-negative index on."""
    row = bytearray(length)
    row[first::step] = _SET * len(range(first, length, step))
    return bytes(row)


def _row(by: DayFilter, kind: YearKind) -> bytes:
    row = _SET * kind.length
    if by.months:
        row = both(row, _in_months(by.months, kind.length))
    if by.weekdays:
        row = both(row, _on_weekdays(by, kind))
    if by.month_days:
        days = [_numbered(by.month_days, end - begin) for begin, end in month_bounds(kind.length)]
        row = both(row, b"".join(days))
    if by.year_days:
        row = both(row, _numbered(by.year_days, kind.length))
    if by.weeks:
        row = both(row, _in_weeks(by, kind))
    return row


def _in_months(months: tuple[int, ...], length: int) -> bytes:
    row = bytearray(length)
    bounds = month_bounds(length)
    for month in months:
        begin, end = bounds[month - 1]
        row[begin:end] = _SET * (end - begin)
    return bytes(row)


@lru_cache(maxsize=256)
def _numbered(numbers: tuple[int, ...], length: int) -> bytes:
    """Return the days with these numbers in a month or year of that length; negative ones count from its end."""
    row = bytearray(length)
    for number in numbers:
        if abs(number) <= length:
            row[number - 1 if number > 0 else number] = 1
    return bytes(row)


def _on_weekdays(by: DayFilter, kind: YearKind) -> bytes:
    if by.counts_in_year:
        return _nth_weekdays(by.weekdays, kind.first_weekday, kind.length)
    months = month_bounds(kind.length)
    return b"".join(_nth_weekdays(by.weekdays, (kind.first_weekday + begin) % 7, end - begin) for begin, end in months)


@lru_cache(maxsize=1024)
def _nth_weekdays(weekdays: tuple[tuple[int, int], ...], first_weekday: int, length: int) -> bytes:
    """Return the days of a month or year, given its first weekday, that are these (see rrule_text.RuleParts)."""
    row = bytearray(length)
    for nth, weekday in weekdays:
        days = range((weekday - first_weekday) % 7, length, 7)
        if not nth:
            row[days.start :: 7] = _SET * len(days)
        elif abs(nth) <= len(days):
            row[days[nth - 1 if nth > 0 else nth]] = 1
    return bytes(row)


def _in_weeks(by: DayFilter, kind: YearKind) -> bytes:
    """Return the days in these weeks. Week 1 is the first with four days of its year (RFC 5545), so days around New
    Year may belong to another year's week."""
    row = bytearray(kind.length)
    for begin, number, from_end in _weeks(by.week_start, kind):
        if number in by.weeks or from_end in by.weeks:
            first, end = max(begin, 0), min(begin + 7, kind.length)
            row[first:end] = _SET * (end - first)
    return bytes(row)


@lru_cache(maxsize=256)
def _weeks(week_start: int, kind: YearKind) -> list[tuple[int, int, int]]:
    """Return, for each week with a day in the year: its first day, its number, and its number counted from the end."""
    found = []
    for begin in range(-((kind.first_weekday - week_start) % 7), kind.length, 7):
        middle, length = begin + 3, kind.length
        if middle < 0:
            middle, length = middle + kind.length_before, kind.length_before
        elif middle >= kind.length:
            middle, length = middle - kind.length, kind.length_after
        found.append((begin, middle // 7 + 1, -((length - 1 - middle) // 7) - 1))
    return found
