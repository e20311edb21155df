"""Where excluded instants move to: before or after the excluded time.

- An instant on an excluded day keeps its time of day: it moves to the nearest day, before or after, on which that time
  is free. (JobScheduler's when_holiday: previous_non_holiday, next_non_holiday.)
- An instant in an excluded window moves *after* to the end of the excluded time, so several of them are merged.
  *Before* it also keeps its time of day, on the nearest day on which that time is free: just before a window begins
  would defeat the purpose of the window.
- An instant without a free target within 31 days is not moved.

Times of day are those of the timer's time zone. A time that is skipped on the target day becomes the end of the gap; a
repeated one is the first time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

from timers.schedules.excluded_shapes import Spans
from timers.schedules.excluded_time import ExcludedTime
from timers.schedules.schedule import Schedule
from timers.schedules.stretches import Stretch, without
from timers.schedules.wall_clock import changes_between
from timers.schedules.wall_instants import SteadyTime, first_wall_from, instant_of, steady_times
from timers.schedules.wall_schedule import WallSchedule

FARTHEST_DAYS = 31
FARTHEST = timedelta(days=FARTHEST_DAYS)
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_MOST_DAYS = 2_000


class Move(NamedTuple):
    """Instants from `begin` to before `end` (UTC) move to the wall that is `shift` ahead of their UTC time."""

    begin: datetime
    end: datetime
    shift: timedelta

    def wall(self, instant: datetime) -> datetime:
        return instant.replace(tzinfo=None) + self.shift


class _DayMoves(NamedTuple):
    """Moves from one day."""

    moves: tuple[Move, ...]
    by_target: dict[date, tuple[list[datetime], list[Move]]]
    """By target day: the walls at which each of the moves ends there, and the moves themselves, in order."""

    @classmethod
    def of(cls, moves: Iterable[Move]) -> Self:
        found = tuple(moves)
        by_target: dict[date, tuple[list[datetime], list[Move]]] = {}
        for move in sorted(found, key=lambda move: move.wall(move.begin)):
            ends, there = by_target.setdefault(move.wall(move.begin).date(), ([], []))
            ends.append(move.wall(move.end))
            there.append(move)
        return cls(found, by_target)


class Moves:
    """Moves of one schedule's excluded instants. Immutable except for its cache, which is thread-safe."""

    def __init__(self, schedule: Schedule, time: ExcludedTime, zone: ZoneInfo, *, after: bool) -> None:
        self._schedule = schedule
        self._time = time
        self._zone = zone
        self.after = after
        self._moves: dict[date, _DayMoves] = {}
        self._shared = _moves_shared(time, zone, after)

    def target(self, instant: datetime) -> datetime | None:
        """Return the instant that an excluded one moves to; None: there is no free target."""
        if self.after and not self._time.excludes_day_of(instant):
            return self._time.free_from(instant, FARTHEST)
        wall = self._wall_of(instant)
        for distance in self._distances():
            there = instant_of(self._zone, wall + distance)
            if not self._time.excludes(there):
                return there
        return None

    def next_after(self, moment: datetime, nominal: datetime | None) -> datetime | None:
        """Return the first instant after `moment` to which some instant of the schedule moves.

        `nominal`: the schedule's own first instant after `moment`; targets after it may be left out.
        """
        from_wall = first_wall_from(self._zone, moment + _MICROSECOND)
        until_wall = None if nominal is None else first_wall_from(self._zone, nominal)
        found = self._window_end_after(moment) if self.after else None
        for day in self._days_that_move_behind(moment, nominal):
            for move in self._moves_between(day, from_wall, until_wall):
                begin = max(move.begin, as_utc(from_wall - move.shift))
                if (origin := self._first(begin, move.end)) is not None:
                    there = instant_of(self._zone, move.wall(origin))
                    found = there if found is None else min(found, there)
        return found

    def moves_of(self, day: date) -> tuple[Move, ...]:
        """Return the moves from one day of the timer's zone to other days."""
        return self._day_moves(day).moves

    def _moves_between(self, day: date, from_wall: datetime, until_wall: datetime | None) -> Iterator[Move]:
        """Yield the moves whose targets are walls from one to before another."""
        for target, (ends, moves) in self._day_moves(day).by_target.items():
            if target < from_wall.date() or (until_wall is not None and target > until_wall.date()):
                continue
            for move in islice(moves, bisect_right(ends, from_wall), None):
                if until_wall is not None and move.wall(move.begin) >= until_wall:
                    break
                yield move

    def _day_moves(self, day: date) -> _DayMoves:
        moves = self._shared.get(day)
        if moves is None:
            moves = self._moves.get(day)
        if moves is None:
            moves = _DayMoves.of(self._read(day))
            known = self._shared if self._is_same_for_all(day) else self._moves
            if len(known) >= _MOST_DAYS:
                known.clear()
            known[day] = moves
        return moves

    def window_ends(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        """Yield, in order, the ends of excluded stretches, from `begin` to before `end`, that instants move to."""
        if not self.after:
            return
        for stretch in self._time.stretches(begin - FARTHEST - _MICROSECOND, end + FARTHEST):
            if begin <= stretch.end < end and self._moves_to_end(stretch, stretch.end):
                yield stretch.end

    def origin_of(self, instant: datetime) -> datetime | None:
        """Return the first of the instants that move to this one; None if there is none."""
        wall = instant.astimezone(self._zone).replace(tzinfo=None, fold=0)
        found = [
            origin
            for distance in range(-FARTHEST_DAYS - 1, FARTHEST_DAYS + 2)
            for move in self.moves_of(wall.date() + _DAY * distance)
            if (origin := self._first(max(move.begin, at := as_utc(wall - move.shift)), move.end)) == at
        ]
        if self.after:
            stretch = self._time.stretch_before(instant, FARTHEST)
            if stretch is not None and self._moves_to_end(stretch, instant):
                parts = without([stretch], self._time.days(*stretch))
                found += [origin for part in parts if (origin := self._first(*part)) is not None]
        return min(found, default=None)

    def _window_end_after(self, moment: datetime) -> datetime | None:
        """Return the end of the excluded time around `moment`, if an instant up to `moment` moves there."""
        end = self._time.free_from(moment, FARTHEST)
        if end is None or end == moment:
            return None
        stretch = self._time.stretch_before(end, FARTHEST)
        moves = stretch is not None and self._moves_to_end(stretch, moment + _MICROSECOND)
        return end if moves else None

    def _moves_to_end(self, stretch: Stretch, until: datetime) -> bool:
        """Return whether an instant of the stretch before `until` moves to its end, and not to another day."""
        begin = max(stretch.begin, stretch.end - FARTHEST)
        parts = without([Stretch(begin, until)], self._time.days(begin, until))
        return any(self._first(*part) is not None for part in parts)

    def _days_that_move_behind(self, moment: datetime, nominal: datetime | None) -> Iterator[date]:
        """Yield the days whose instants may move to between `moment` and the schedule's next own instant."""
        if self.after:
            today = moment.astimezone(self._zone).date()
            yield from (today - _DAY * distance for distance in range(FARTHEST_DAYS, -1, -1))
        elif nominal is not None:  # what moves to before it comes from it, or from after it
            day = nominal.astimezone(self._zone).date()
            yield from (day + _DAY * distance for distance in range(FARTHEST_DAYS + 1))

    def _first(self, begin: datetime, end: datetime) -> datetime | None:
        """Return the schedule's first instant from `begin` to before `end`."""
        if begin >= end:
            return None
        first = self._schedule.first(begin)
        return None if first is None or first >= end else first

    def _distances(self) -> Iterator[timedelta]:
        step = _DAY if self.after else -_DAY
        return (step * number for number in range(1, FARTHEST_DAYS + 1))

    def _read(self, day: date) -> Iterator[Move]:
        step = 1 if self.after else -1
        for base, spans, offset in self._leaving(day):
            wall = base.replace(tzinfo=None) + offset
            ordinal, rest = wall.toordinal(), spans
            for distance in range(step, step * (FARTHEST_DAYS + 1), step):
                if not rest:
                    break
                free, rest = self._time.divided(rest, ordinal + distance)
                shift = offset + _DAY * distance
                yield from (Move(base + _MICROSECOND * begin, base + _MICROSECOND * end, shift) for begin, end in free)

    def _leaving(self, day: date) -> Iterator[tuple[datetime, Spans, timedelta]]:
        """Yield what moves from a day: the instant of a wall midnight, spans from there, and their offset."""
        shape = self._time.shape_of_steady_day(day.toordinal())
        if shape is not None:
            spans = shape.days if self.after else shape.all
            if spans:
                midnight = datetime.combine(day, time(), self._zone)
                yield midnight.astimezone(UTC), spans, midnight.utcoffset() or timedelta(0)
            return
        for begin, end, offset in self._steady_times(day):
            wall = begin.replace(tzinfo=None) + offset
            base = begin - (wall - datetime.combine(wall.date(), time()))
            excluded = self._time.days(begin, end) if self.after else self._time.stretches(begin, end)
            yield base, tuple(((at - base) // _MICROSECOND, (to - base) // _MICROSECOND) for at, to in excluded), offset

    def _steady_times(self, day: date) -> Iterator[SteadyTime]:
        """Yield the stretches of a day without clock change, each with the offset of its walls."""
        midnight = datetime.combine(day, time())
        # No zone is farther from UTC than a day.
        for begin, end, offset in steady_times(self._zone, as_utc(midnight - _DAY), as_utc(midnight + 2 * _DAY)):
            first, last = max(begin, as_utc(midnight - offset)), min(end, as_utc(midnight + _DAY - offset))
            if first >= last:
                continue
            if first == begin and (wall := self._wall_of(first)) != first.replace(tzinfo=None) + offset:
                yield SteadyTime(first, first + _MICROSECOND, wall - first.replace(tzinfo=None))
                first += _MICROSECOND
            yield SteadyTime(first, last, offset)

    def _is_same_for_all(self, day: date) -> bool:
        """Return whether all schedules of these calendars move alike on a day: without clock change (see _wall_of)."""
        midnight = as_utc(datetime.combine(day, time()))
        return not any(changes_between(self._zone, midnight - 2 * _DAY, midnight + 3 * _DAY))

    def _wall_of(self, instant: datetime) -> datetime:
        """Return the wall that an instant represents."""
        if isinstance(self._schedule, WallSchedule) and self._schedule.zone == self._zone:
            return self._schedule.wall_of(instant)
        return instant.astimezone(self._zone).replace(tzinfo=None, fold=0)


@lru_cache(maxsize=256)
def _moves_shared(time: ExcludedTime, zone: ZoneInfo, after: bool) -> dict[date, _DayMoves]:  # noqa: ARG001
    """Return the cache that all schedules of the same calendars share, by day: its moves are computed once."""
    return {}


def as_utc(wall: datetime) -> datetime:
    """Return a naive datetime, which is not a wall of UTC, as if it were one, for arithmetic."""
    return wall.replace(tzinfo=UTC)
