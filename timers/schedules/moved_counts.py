"""Count the instants that run if excluded ones move (see moving.py): the schedule's own and the gained ones.

An instant is gained where one moves to at which the schedule is not due anyway. For each day, the instants that move
there are found by going away from it day by day, as long as some time of day that is free on it is excluded on all days
between. All seconds of a day are processed at once, so a timer of every second costs no more than a daily one.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from timers.schedules.excluded_shapes import Shape
from timers.schedules.instant import EPOCH
from timers.schedules.instant_counts import MOST_PAIRS, ShapeMasks, Tally
from timers.schedules.own_parts import Own
from timers.schedules.schedule import Missed
from timers.schedules.second_masks import SECONDS_A_DAY, WHOLE_DAY, mask_between
from timers.schedules.shown_parts import Part
from timers.schedules.window_ends import NO_ENDS, WindowEnds

_MICROSECONDS: Final = 1_000_000
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND: Final = timedelta(seconds=1)


@dataclass(slots=True)
class _Day:
    """A day of the wall clock, for instants that move from it or over it."""

    parts: list[tuple[Own, Shape]] = field(default_factory=list)
    leaving: int = 0
    """Walls of the instants that move to another day."""
    excluded: int | None = None
    """Excluded walls, if known already."""
    free: int | None = None
    """Free walls, if known already."""


@dataclass(slots=True)
class Moving:
    """How instants move."""

    after: bool
    """Whether they move to a later day, instead of an earlier one."""
    farthest_days: int
    target: Callable[[datetime], datetime | None]
    """Returns where a single instant moves to."""
    end_of_gap: Callable[[int, int], datetime]
    """Returns the instant at which the clock skips a second of a day (a proleptic ordinal)."""
    excludes: Callable[[datetime], bool]
    """Returns whether an instant is excluded."""


class MovedCounts:
    """Counts what runs from `begin` to before `end`. `grid`: microseconds of the instants after the full second."""

    def __init__(self, moving: Moving, begin: datetime, end: datetime, grid: int) -> None:
        self._moving = moving
        self._masks = ShapeMasks(grid)
        self._grid = grid
        self._tally = Tally(begin, end, grid)
        self._ends = WindowEnds(self._masks, moving.farthest_days * SECONDS_A_DAY * _MICROSECONDS)
        # No clock is farther from UTC than a day, and none skips more than a day.
        self._first_day, self._last_day = begin.toordinal() - 2, end.toordinal() + 2
        self._days: dict[int, _Day] = {}
        self._left: deque[int] = deque()
        """Days that instants leave, in order."""
        self._coming: deque[tuple[Own, Shape]] = deque()
        self._gained: dict[tuple[int, int], int] = {}
        """Gained walls by base and low of their part: on a day that begins twice, two parts have one low."""
        self._single: dict[int, set[int]] = defaultdict(set)
        """Instants (microseconds since 1970) by the second in which they lie."""
        self._leaving: dict[tuple[int, int], tuple[int, Shape, int]] = {}
        self._runs: dict[tuple[int, int, int], tuple[int, int, object]] = {}

    def count(self, own: Iterable[tuple[Own, Shape]]) -> Missed | None:
        """Count the instants.

        `own`: the parts in chronological order, with the schedule's instants in each and what is excluded of it. They
        begin some days more than the farthest move before `begin`, and end as many after `end`.
        """
        # A clock that is set back over midnight shows the day before again.
        lag = 2 if self._moving.after else self._moving.farthest_days + 2
        day: int | None = None
        for each, shape in own:
            if day is None:
                day = each.part.day
            self._enter(each, shape)
            while day + lag < each.part.day:
                self._count_day(day)
                day += 1
        if day is not None:
            for last in range(day, max(self._days) + 1):
                self._count_day(last)
        return self._tally.total

    def _enter(self, each: Own, shape: Shape) -> None:
        self._coming.append((each, shape))
        day = self._days.get(each.part.day)
        if day is None:
            day = self._days[each.part.day] = _Day()
            if each.part.is_whole:
                day.excluded, day.free = self._masks.excluded(shape), self._masks.free(shape)
        else:
            day.excluded = day.free = None
        day.parts.append((each, shape))
        if not each.seconds or not (shape.days if self._moving.after else shape.all):
            return
        leaving = self._leaving_of(each.seconds, shape)
        if each.skipped is not None and leaving & (first := 1 << each.part.low):
            leaving ^= first  # it represents a wall of its own
            there = self._moving.target(EPOCH + _SECOND * (each.part.base + each.part.low))
            if there is not None:
                self._add_single(there)
        if leaving:
            day.leaving |= leaving
            if not self._left or self._left[-1] < each.part.day:
                self._left.append(each.part.day)

    def _leaving_of(self, seconds: int, shape: Shape) -> int:
        key = id(seconds), id(shape)
        known = self._leaving.get(key)
        if known is None:
            if len(self._leaving) >= MOST_PAIRS:
                self._leaving.clear()
            excluded = self._masks.of_days(shape) if self._moving.after else self._masks.excluded(shape)
            known = self._leaving[key] = seconds, shape, seconds & excluded
        return known[2]

    def _count_day(self, day: int) -> None:
        self._gain(day)
        while self._coming and self._coming[0][0].part.day <= day:
            self._count_part(*self._coming.popleft())
        self._days.pop(day - self._moving.farthest_days - 2, None)

    def _gain(self, day: int) -> None:
        """Find the instants that move to a day."""
        if not self._first_day <= day <= self._last_day:
            return
        step = -1 if self._moving.after else 1
        farthest = self._farthest_left(day)
        if farthest is None:
            return
        here = self._days.get(day)
        free, gained = WHOLE_DAY ^ self._excluded(day) if here is None or here.free is None else here.free, 0
        for other in range(day + step, farthest + step, step):
            if not free:
                break
            found = self._days.get(other)
            if found is not None and found.leaving:
                gained |= free & found.leaving
            free &= self._excluded(other)
        for own, _ in here.parts if here is not None and gained else ():
            part = own.part
            shown = gained if part.is_whole else gained & mask_between(part.low, part.high)
            gained ^= shown
            if shown:
                self._gained[part.base, part.low] = shown
        if gained:
            self._add_single(self._moving.end_of_gap(day, gained.bit_length() - 1))

    def _farthest_left(self, day: int) -> int | None:
        """Return the farthest day that instants leave and from which they may reach a day; None: there is none."""
        left, farthest = self._left, self._moving.farthest_days
        while left and left[0] < day - farthest:
            left.popleft()
        if self._moving.after:
            return left[0] if left and left[0] < day else None
        return next((each for each in reversed(left) if day < each <= day + farthest), None)

    def _excluded(self, ordinal: int) -> int:
        """Return the excluded walls of a day."""
        day = self._days.setdefault(ordinal, _Day())
        if day.excluded is None:
            excluded, shown = 0, 0
            for own, shape in day.parts:
                part = own.part
                here = WHOLE_DAY if part.is_whole else mask_between(part.low, part.high)
                excluded |= self._masks.excluded(shape) & here & ~shown if shown else self._masks.excluded(shape)
                shown |= here
            skipped = WHOLE_DAY ^ shown
            if skipped and self._moving.excludes(self._moving.end_of_gap(ordinal, skipped.bit_length() - 1)):
                excluded |= skipped
            day.excluded = excluded
        return day.excluded

    def _count_part(self, own: Own, shape: Shape) -> None:
        part, seconds = own.part, own.seconds
        ends = self._ends.take(part, seconds, shape) if self._moving.after else NO_ENDS
        gained = self._gained.pop((part.base, part.low), 0)
        if not self._tally.overlaps(part):
            return
        singles = self._singles_in(part)
        if gained or singles or not self._tally.is_within(part):
            on_grid = gained | ends.on_grid
            off_grid = [part.base * _MICROSECONDS + each for each in ends.single]
            for each in singles:
                second, rest = divmod(each - part.base * _MICROSECONDS, _MICROSECONDS)
                if rest == self._grid:
                    on_grid |= 1 << second
                elif each not in off_grid and not (rest == 0 and ends.off_grid >> second & 1):
                    off_grid.append(each)
            runs = self._tally.cut(part, seconds & self._masks.free(shape) | on_grid & ~seconds)
            self._tally.add(part, runs, runs.bit_count())
            self._tally.add_off_grid(part, ends.off_grid)
            self._tally.add_single(off_grid)
            return
        key = id(seconds), id(shape), id(ends)
        known = self._runs.get(key)
        if known is None:
            if len(self._runs) >= MOST_PAIRS:
                self._runs.clear()
            runs = seconds & self._masks.free(shape) | ends.on_grid & ~seconds
            known = self._runs[key] = runs, runs.bit_count(), (seconds, shape, ends)
        self._tally.add(part, known[0], known[1])
        self._tally.add_off_grid(part, ends.off_grid)
        if ends.single:
            self._tally.add_single([part.base * _MICROSECONDS + each for each in ends.single])

    def _add_single(self, instant: datetime) -> None:
        since = (instant - EPOCH) // _MICROSECOND
        self._single[since // _MICROSECONDS // SECONDS_A_DAY].add(since)

    def _singles_in(self, part: Part) -> list[int]:
        if not self._single:
            return []
        first, last = part.base + part.low, part.base + part.high
        return [
            each
            for day in range(first // SECONDS_A_DAY, (last - 1) // SECONDS_A_DAY + 1)
            for each in self._single.get(day, ())
            if first * _MICROSECONDS <= each < last * _MICROSECONDS
        ]
