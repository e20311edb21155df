"""Everything that some exclusion calendars exclude for the timers of one time zone, cached on demand."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from timers.schedules.excluded_shapes import ExcludedShapes, Shape, Spans, divided, merged_spans
from timers.schedules.exclusions import ExclusionCalendar
from timers.schedules.instant import EPOCH
from timers.schedules.shown_parts import Part, parts_between
from timers.schedules.stretches import Stretch, merged, within
from timers.schedules.wall_clock import Change, place

_BLOCK = timedelta(days=8)
"""Time range read at once: with the maximum number of windows, it takes a millisecond."""
_MOST_BLOCKS = 1_000
_MOST_DIVIDED = 2_000
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS = 1_000_000
_WHOLE_DAY = (0, 86_400 * _MICROSECONDS)


class _Block(NamedTuple):
    days: list[Stretch]
    all: list[Stretch]
    begins: list[datetime]


class ExcludedTime:
    """Union of the calendars. Immutable except for its cache, which is thread-safe."""

    def __init__(self, calendars: tuple[ExclusionCalendar, ...], zone: ZoneInfo) -> None:
        self._calendars = calendars
        self._zone = zone
        self._blocks: dict[int, _Block] = {}
        self._shapes = ExcludedShapes(calendars, zone)
        self._walls: dict[int, Spans] = {}
        self._divided: dict[tuple[int, int], tuple[Spans, Spans, object]] = {}

    def reason(self, instant: datetime) -> str | None:
        """Return why a UTC instant is excluded, such as "bank-holidays: Christmas Day (holidays DE)".

        None: it is not.
        """
        if not self.excludes(instant):
            return None
        for calendar in self._calendars:
            if (reason := calendar.reason(instant, self._zone)) is not None:
                return f"{calendar.name}: {reason}"
        return None

    def excludes(self, instant: datetime) -> bool:
        return self._stretch_at(instant) is not None

    def excludes_day_of(self, instant: datetime) -> bool:
        """Return whether a rule of whole days excludes a UTC instant."""
        return any(begin <= instant < end for begin, end in self._block((instant - EPOCH) // _BLOCK).days)

    def shape_of(self, part: Part) -> Shape:
        """Return what is excluded of a part of a day of the zone."""
        return self._shapes.of(part)

    def shape_of_steady_day(self, ordinal: int) -> Shape | None:
        """Return what is excluded of a day (a proleptic ordinal); None for one near a clock change."""
        return self._shapes.of_steady_day(ordinal)

    def divided(self, spans: Spans, ordinal: int) -> tuple[Spans, Spans]:
        """Return which of some times of day are free on a day (a proleptic ordinal), and which are excluded.

        A repeated wall counts by its first time, a skipped one by the end of the gap.
        """
        excluded = self._excluded_walls(ordinal)
        if not excluded:
            return spans, ()
        key = id(spans), id(excluded)
        known = self._divided.get(key)
        if known is None:
            free, rest = divided(spans, excluded)
            if len(self._divided) >= _MOST_DIVIDED:
                self._divided.clear()
            # Equal results are the same object, so the next day with these windows finds it by its id.
            known = self._divided[key] = (free, spans if rest == spans else rest, (spans, excluded))
        return known[:2]

    def _excluded_walls(self, ordinal: int) -> Spans:
        """Return the walls of a day whose instants are excluded."""
        shape = self._shapes.of_steady_day(ordinal)
        if shape is not None:
            return shape.all
        walls = self._walls.get(ordinal)
        if walls is None:
            if len(self._walls) >= _MOST_BLOCKS:
                self._walls.clear()
            walls = self._walls[ordinal] = self._read_walls(ordinal)
        return walls

    def _read_walls(self, ordinal: int) -> Spans:
        noon = datetime.fromordinal(ordinal).replace(hour=12, tzinfo=UTC)
        excluded: list[tuple[int, int]] = []
        open_walls: Spans = (_WHOLE_DAY,)
        for part in parts_between(self._zone, noon - 3 * _DAY, noon + 3 * _DAY):
            if part.day == ordinal:
                shown = ((part.low * _MICROSECONDS, part.high * _MICROSECONDS),)
                open_walls, here = divided(open_walls, shown)
                excluded += divided(here, self._shapes.of(part).all)[1]
        for begin, end in open_walls:
            change = place(self._zone, datetime.fromordinal(ordinal) + _MICROSECOND * begin)
            if isinstance(change, Change) and self.excludes(change.at):
                excluded.append((begin, end))
        return merged_spans(excluded)

    def days(self, begin: datetime, end: datetime) -> list[Stretch]:
        """Return what rules of whole days exclude from `begin` to before `end`."""
        return self._gathered([block.days for block in self._blocks_between(begin, end)], begin, end)

    def stretches(self, begin: datetime, end: datetime) -> list[Stretch]:
        """Return what is excluded from `begin` to before `end`."""
        return self._gathered([block.all for block in self._blocks_between(begin, end)], begin, end)

    def free_from(self, instant: datetime, at_most: timedelta) -> datetime | None:
        """Return the first free instant at or after this one; None if it is farther away than `at_most`."""
        free = instant
        while (stretch := self._stretch_at(free)) is not None:
            free = stretch.end
            if free - instant > at_most:
                return None
        return free

    def stretch_before(self, end: datetime, at_most: timedelta) -> Stretch | None:
        """Return the excluded time that ends at `end`, at most `at_most` of it; None: the time before `end` is free."""
        begin = end
        while (stretch := self._stretch_at(begin - _MICROSECOND)) is not None:
            begin = stretch.begin
            if end - begin >= at_most:
                return Stretch(end - at_most, end)
        return Stretch(begin, end) if begin < end else None

    def _stretch_at(self, instant: datetime) -> Stretch | None:
        block = self._block((instant - EPOCH) // _BLOCK)
        found = bisect_right(block.begins, instant) - 1
        return block.all[found] if found >= 0 and instant < block.all[found].end else None

    def _gathered(self, lists: list[list[Stretch]], begin: datetime, end: datetime) -> list[Stretch]:
        return merged(stretch for stretches in lists for stretch in within(stretches, begin, end))

    def _blocks_between(self, begin: datetime, end: datetime) -> list[_Block]:
        last = (end - _MICROSECOND - EPOCH) // _BLOCK
        return [self._block(number) for number in range((begin - EPOCH) // _BLOCK, last + 1)]

    def _block(self, number: int) -> _Block:
        block = self._blocks.get(number)
        if block is None:
            block = self._read(number)
            if len(self._blocks) >= _MOST_BLOCKS:
                self._blocks.clear()
            self._blocks[number] = block
        return block

    def _read(self, number: int) -> _Block:
        days: list[Stretch] = []
        windows: list[Stretch] = []
        try:
            begin, end = EPOCH + _BLOCK * number, EPOCH + _BLOCK * (number + 1)
        except OverflowError:  # at the end of year 9999, nothing is excluded
            return _Block([], [], [])
        for calendar in self._calendars:
            days += calendar.excluded_days(begin, end, self._zone)
            windows += calendar.excluded_windows(begin, end, self._zone)
        days = merged(days)
        both = merged([*days, *windows])
        return _Block(days, both, [stretch.begin for stretch in both])


@lru_cache(maxsize=256)
def excluded_time(calendars: tuple[ExclusionCalendar, ...], zone: ZoneInfo) -> ExcludedTime:
    """Return the same object for the same calendars and zone, so that all timers share its cache."""
    return ExcludedTime(calendars, zone)
