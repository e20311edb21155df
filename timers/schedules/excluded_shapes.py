"""Excluded shapes: what exclusion calendars exclude of each day, with one object for all equal days.

The years of an outage have few kinds of days: a weekend, a working day, one with a night window that leads into a
holiday. A count for one day of a kind holds for all of them, so the cost of a count depends on the number of kinds, not
of days. Only the days around a clock change are processed individually.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import compress, islice
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from timers.schedules.excluded_window import ExcludedWindow
from timers.schedules.exclusions import ExclusionCalendar
from timers.schedules.instant import EPOCH
from timers.schedules.matching_days import either
from timers.schedules.second_masks import SECONDS_A_DAY
from timers.schedules.shown_parts import Part
from timers.schedules.stretches import Stretch
from timers.schedules.wall_clock import changes_between, offset_at

_MICROSECONDS: Final = 1_000_000
_DAY_US: Final = SECONDS_A_DAY * _MICROSECONDS
_DAY: Final = timedelta(days=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND: Final = timedelta(seconds=1)
_MOST_YEARS: Final = 50
_MOST_SHAPES: Final = 2_000

Spans = tuple[tuple[int, int], ...]
"""Spans in microseconds from the wall 00:00 of a day, sorted, not touching."""


class Shape(NamedTuple):
    """What is excluded of a part of a day. Compared by identity."""

    all: Spans
    days: Spans
    """Spans excluded by rules of whole days."""

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


FREE: Final = Shape((), ())


class _Element(NamedTuple):
    """Part of a day that is excluded if a rule matches on this day, or on a nearby day."""

    row: int
    """Index of the row (see _Rows) that says whether the rule matches."""
    shift: int
    """Days from the day to the one on which the rule must match."""
    span: Spans
    of_day: bool


class ExcludedShapes:
    """Shapes of the days of one time zone. Immutable except for its cache, which is thread-safe."""

    def __init__(self, calendars: Sequence[ExclusionCalendar], zone: ZoneInfo) -> None:
        self._zone = zone
        self._calendars = [_Rows(calendar, zone) for calendar in calendars]
        self._years: dict[int, list[Shape | None]] = {}
        self._shapes: dict[tuple[object, ...], Shape] = {}

    def of(self, part: Part) -> Shape:
        """Return what is excluded of a part of a day."""
        shape = self.of_steady_day(part.day) if part.is_whole else None
        return self._of_single(part) if shape is None else shape

    def of_steady_day(self, ordinal: int) -> Shape | None:
        """Return what is excluded of a day; None for one near a clock change."""
        day = date.fromordinal(ordinal)
        return self._of_year(day.year)[ordinal - date(day.year, 1, 1).toordinal()]

    def _of_single(self, part: Part) -> Shape:
        """Compute the shape of one part individually: what begins or ends anywhere in it, at any clock change."""
        base = EPOCH + _SECOND * part.base
        begin, end = base + _SECOND * part.low, base + _SECOND * part.high
        of_days = [each for calendar in self._calendars for each in calendar.excluded_days(begin, end)]
        windows = [each for calendar in self._calendars for each in calendar.excluded_windows(begin, end)]
        all_, days = (
            merged_spans(((first - base) // _MICROSECOND, (last - base) // _MICROSECOND) for first, last in stretches)
            for stretches in (of_days + windows, of_days)
        )
        return self._shape((all_, days), all_, days)

    def _of_year(self, year: int) -> list[Shape | None]:
        shapes = self._years.get(year)
        if shapes is None:
            shapes = self._read(year)
            if len(self._years) >= _MOST_YEARS:
                self._years.clear()
            self._years[year] = shapes
        return shapes

    def _read(self, year: int) -> list[Shape | None]:
        """Return the shapes of a year's days; None for those near a clock change."""
        new_year = date(year, 1, 1)
        length = date(year + 1, 1, 1).toordinal() - new_year.toordinal()
        shapes: list[Shape | None] = [None] * length
        first = 0
        for unsteady in [*self._unsteady(year), length]:
            if first < unsteady:
                midnight = (datetime(year, 1, 1) + _DAY * first).replace(tzinfo=self._zone).astimezone(UTC)
                shapes[first:unsteady] = self._steady(year, first, unsteady, midnight)
            first = unsteady + 1
        return shapes

    def _unsteady(self, year: int) -> list[int]:
        """Return the days of the year that a clock change affects, also through a window that began around it."""
        new_year = datetime(year, 1, 1, tzinfo=UTC)
        found: set[int] = set()
        for zone, lasts in [(self._zone, timedelta(0)), *((each.zone, each.longest) for each in self._calendars)]:
            for change in changes_between(zone, new_year - lasts - 3 * _DAY, new_year + 368 * _DAY):
                end = change.at + abs(change.offset_after - change.offset_before) + lasts
                touched = [
                    each.astimezone(self._zone).toordinal() for each in (change.at - _MICROSECOND, change.at, end)
                ]
                # It may be set back or forward over midnight.
                found.update(range(min(touched) - new_year.toordinal(), max(touched) + 1 - new_year.toordinal()))
        return sorted(day for day in found if 0 <= day < 366)

    def _steady(self, year: int, first: int, end: int, midnight: datetime) -> Iterator[Shape]:
        """Yield the shapes of the days from `first` to before `end`, between which there is no clock change."""
        ours = offset_at(self._zone, midnight)
        columns: list[bytes] = []
        elements: list[_Element] = []
        for calendar in self._calendars:
            ahead = (ours - offset_at(calendar.zone, midnight)) // _MICROSECOND
            found = calendar.elements(ahead)
            around = calendar.around(year)
            columns += (around[each.row][_BEFORE + first + each.shift : _BEFORE + end + each.shift] for each in found)
            elements += found
        if not columns:
            yield from [FREE] * (end - first)
            return
        offsets = tuple(offset_at(calendar.zone, midnight) - ours for calendar in self._calendars)
        for bits in zip(*columns, strict=True):
            key = (offsets, bits)
            shape = self._shapes.get(key)
            if shape is None:
                matching = list(compress(elements, bits))
                shape = self._shape(
                    key,
                    merged_spans(span for each in matching for span in each.span),
                    merged_spans(span for each in matching if each.of_day for span in each.span),
                )
            yield shape

    def _shape(self, key: tuple[object, ...], all_: Spans, days: Spans) -> Shape:
        shape = self._shapes.get(key)
        if shape is None:
            # Days that are composed differently may still be equal.
            alike = (all_, days)
            shape = self._shapes.get(alike)
            if shape is None:
                shape = Shape(all_, days) if all_ else FREE
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes.clear()
            self._shapes[key] = self._shapes[alike] = shape
        return shape


_BEFORE: Final = 40
"""Days before a year at which its rows begin: more than a window may last."""


class _Rows:
    """Days on which the rules of a calendar match."""

    def __init__(self, calendar: ExclusionCalendar, zone: ZoneInfo) -> None:
        self.zone = calendar.zone or zone
        self._calendar = calendar
        self._days = [rule.excludes for rule in calendar.rules if not isinstance(rule.excludes, ExcludedWindow)]
        self._windows = [rule.excludes for rule in calendar.rules if isinstance(rule.excludes, ExcludedWindow)]
        self.longest = max((window.duration for window in self._windows), default=timedelta(0))
        self._spans = [window.spans() for window in self._windows]
        self._rows: dict[int, list[bytes]] = {}

    def excluded_days(self, begin: datetime, end: datetime) -> list[Stretch]:
        return self._calendar.excluded_days(begin, end, self.zone)

    def excluded_windows(self, begin: datetime, end: datetime) -> list[Stretch]:
        return self._calendar.excluded_windows(begin, end, self.zone)

    def around(self, year: int) -> list[bytes]:
        """Return a row for all rules of whole days (see `row` in excluded_days.py) and one for each window, from before
        the year to after it."""
        years = zip(*(self._of_year(each) for each in (year - 1, year, year + 1)), strict=True)
        return [before[-_BEFORE:] + row + after[:_BEFORE] for before, row, after in years]

    def elements(self, ahead: int) -> list[_Element]:
        """Return what may be excluded of a day of a zone that is `ahead` microseconds ahead of the calendar's."""
        earliest, latest = -ahead // _DAY_US, (_DAY_US - 1 - ahead) // _DAY_US
        found = [
            _Element(0, shift, _clipped([(0, _DAY_US)], ahead + shift * _DAY_US), True)
            for shift in range(earliest, latest + 1)
            if self._days
        ]
        for row, spans in enumerate(self._spans, bool(self._days)):
            longest = max(end for _, end in spans)
            shifted = (
                (shift, _clipped(spans, ahead + shift * _DAY_US))
                for shift in range((1 - ahead - longest) // _DAY_US, latest + 1)
            )
            found += [_Element(row, shift, clipped, False) for shift, clipped in shifted if clipped]
        return found

    def _of_year(self, year: int) -> list[bytes]:
        rows = self._rows.get(year)
        if rows is not None:
            return rows
        rows = [window.row(year) for window in self._windows]
        if self._days:
            days = self._days[0].row(year)
            for rule in self._days[1:]:
                days = either(days, rule.row(year))
            rows.insert(0, days)
        if len(self._rows) >= _MOST_YEARS:
            self._rows.clear()
        self._rows[year] = rows
        return rows


def _clipped(spans: Sequence[tuple[int, int]], shift: int) -> Spans:
    """Return the parts of these spans, shifted, that lie within the day."""
    moved = ((max(begin + shift, 0), min(end + shift, _DAY_US)) for begin, end in spans)
    return tuple((begin, end) for begin, end in moved if begin < end)


def merged_spans(spans: Iterable[tuple[int, int]]) -> Spans:
    """Return the same time in as few spans as possible, sorted."""
    found: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((begin, end))
    return tuple(found)


def divided(spans: Spans, others: Spans) -> tuple[Spans, Spans]:
    """Return the parts of some spans that lie in none of the others, and the parts that lie in them."""
    outside: list[tuple[int, int]] = []
    inside: list[tuple[int, int]] = []
    number = 0
    for begin, end in spans:
        while number < len(others) and others[number][1] <= begin:
            number += 1
        reached = begin
        for first, last in islice(others, number, None):
            if first >= end:
                break
            if reached < first:
                outside.append((reached, first))
            inside.append((max(first, reached), min(last, end)))
            reached = last
        if reached < end:
            outside.append((reached, end))
    return tuple(outside), tuple(inside)
