"""Which days of a year the BY parts of a recurrence rule match, whatever its FREQ and INTERVAL.

A year is a row of bytes, one for each day, 1 where the day matches: rows are searched and counted by Python itself, and
28 of them, one for each kind of year, say all that there is to know about a rule. So the cost of a rule is bounded
by construction: nothing is walked day by day when an instant is looked for.
"""

from __future__ import annotations

from calendar import isleap
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

_MONTH_LENGTHS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SET: Final = b"\x01"


class YearKind(NamedTuple):
    """All that the days of a year depend on. Days of the week count from 0 (Sunday)."""

    first_weekday: int
    length: int
    length_before: int = 365
    """Of the year before, and of the one after: weeks around New Year belong to either."""
    length_after: int = 365


class DayFilter(NamedTuple):
    """The BY parts that choose days; empty where the rule says nothing. See rrule_text.RuleParts."""

    weekdays: tuple[tuple[int, int], ...]
    month_days: tuple[int, ...]
    year_days: tuple[int, ...]
    weeks: tuple[int, ...]
    months: tuple[int, ...]
    week_start: int
    counts_in_year: bool
    """Whether 2TU is the second Tuesday of the year; else it is that of the month."""


class MatchingDays:
    """The matching days of every year. A value but for its memory, which threads may share."""

    def __init__(self, day_filter: DayFilter) -> None:
        self._filter = day_filter
        self._rows: dict[YearKind, bytes] = {}

    @property
    def are_all(self) -> bool:
        """Whether every day matches."""
        by = self._filter
        return not (by.weekdays or by.month_days or by.year_days or by.weeks or by.months)

    def of_year(self, year: int) -> bytes:
        """One byte for each day of the year: 1 where it matches."""
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
    """The same object for the same filter, so that rules that differ in other parts share its memory."""
    return MatchingDays(day_filter)


def month_bounds(length: int) -> list[tuple[int, int]]:
    """Of each month of a year of so many days: the index of its first day, and that of the first day after it."""
    starts = [0]
    for month, days in enumerate(_MONTH_LENGTHS):
        starts.append(starts[-1] + days + (month == 1 and length == 366))
    return list(pairwise(starts))


def both(first: bytes | bytearray, second: bytes | bytearray) -> bytes:
    """The days that are set in both rows, which are equally long."""
    return (int.from_bytes(first) & int.from_bytes(second)).to_bytes(len(first))


def either(first: bytes | bytearray, second: bytes | bytearray) -> bytes:
    """The days that are set in one of the rows or both; they are equally long."""
    return (int.from_bytes(first) | int.from_bytes(second)).to_bytes(len(first))


def every(length: int, first: int, step: int) -> bytes:
    """A row with every `step`th day set, from an index on that is not negative."""
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
        row = both(row, _numbered(by.month_days, month_bounds(kind.length), kind.length))
    if by.year_days:
        row = both(row, _numbered(by.year_days, [(0, kind.length)], kind.length))
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


def _numbered(numbers: tuple[int, ...], periods: list[tuple[int, int]], length: int) -> bytes:
    """The days with these numbers in each period; negative ones count from its end."""
    row = bytearray(length)
    for begin, end in periods:
        size = end - begin
        for number in numbers:
            if abs(number) <= size:
                row[begin + number - 1 if number > 0 else end + number] = 1
    return bytes(row)


def _on_weekdays(by: DayFilter, kind: YearKind) -> bytes:
    by_nth: dict[int, set[int]] = {}
    for nth, weekday in by.weekdays:
        if by.counts_in_year or abs(nth) <= 5:
            by_nth.setdefault(nth, set()).add(weekday)
    periods = [(0, kind.length)] if by.counts_in_year else month_bounds(kind.length)
    row = bytes(kind.length)
    for nth, weekdays in by_nth.items():
        days = bytearray(kind.length)
        for weekday in weekdays:
            first = (weekday - kind.first_weekday) % 7
            days[first::7] = _SET * len(range(first, kind.length, 7))
        row = either(row, both(days, _nth_seven(nth, periods, kind.length)) if nth else days)
    return row


def _nth_seven(nth: int, periods: list[tuple[int, int]], length: int) -> bytes:
    """The nth seven days of each period, from its end where nth is negative: each has one of each day of the week."""
    row = bytearray(length)
    for begin, end in periods:
        low = begin + 7 * (nth - 1) if nth > 0 else end + 7 * nth
        low, high = max(low, begin), min(low + 7, end)
        if low < high:
            row[low:high] = _SET * (high - low)
    return bytes(row)


def _in_weeks(by: DayFilter, kind: YearKind) -> bytes:
    """Week 1 is the first with four days of its year (RFC 5545), so days around New Year may be of another year's."""
    row = bytearray(kind.length)
    for begin, number, from_end in _weeks(by.week_start, kind):
        if number in by.weeks or from_end in by.weeks:
            first, end = max(begin, 0), min(begin + 7, kind.length)
            row[first:end] = _SET * (end - first)
    return bytes(row)


def _weeks(week_start: int, kind: YearKind) -> Iterator[tuple[int, int, int]]:
    """Of each week of which a day lies in the year: its first day, its number, and that number counted from the end."""
    for begin in range(-((kind.first_weekday - week_start) % 7), kind.length, 7):
        middle, length = begin + 3, kind.length
        if middle < 0:
            middle, length = middle + kind.length_before, kind.length_before
        elif middle >= kind.length:
            middle, length = middle - kind.length, kind.length_after
        yield begin, middle // 7 + 1, -((length - 1 - middle) // 7) - 1
