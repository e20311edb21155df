"""Count the instants of a schedule that run, and those that are excluded, between two instants under calendars.

The counts are exact. The cost hardly depends on the density of the schedule or on the number of windows per day: years
are counted day by day, and equal days are computed once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from timers.schedules.excluded_time import ExcludedTime
from timers.schedules.instant_counts import counted
from timers.schedules.interval import FixedRate
from timers.schedules.moved_counts import MovedCounts, Moving
from timers.schedules.moved_instants import gained
from timers.schedules.moving import FARTHEST_DAYS, Moves
from timers.schedules.own_parts import Own, own_parts, own_parts_of_rate
from timers.schedules.rate_counts import counted_of_rate
from timers.schedules.schedule import Missed, together
from timers.schedules.shown_parts import Part, parts_between
from timers.schedules.wall_clock import Change, place
from timers.schedules.wall_schedule import WallSchedule

_SECOND: Final = timedelta(seconds=1)
_AROUND: Final = timedelta(days=3)
"""Margin read before and after: no zone skips or repeats more than a day."""
_AROUND_MOVES: Final = timedelta(days=FARTHEST_DAYS) + _AROUND


class CalendarCounts:
    """Counts of one schedule under calendars."""

    def __init__(self, schedule: WallSchedule | FixedRate, time: ExcludedTime, zone: ZoneInfo) -> None:
        self._schedule = schedule
        self._time = time
        self._zone = zone

    def free(self, begin: datetime, end: datetime) -> Missed | None:
        """Return the schedule's own instants from `begin` to before `end` that are not excluded."""
        return self._counted(begin, end, excluded=False)

    def excluded(self, begin: datetime, end: datetime) -> Missed | None:
        """Return the schedule's own instants from `begin` to before `end` that are excluded."""
        return self._counted(begin, end, excluded=True)

    def with_moves(self, moves: Moves, begin: datetime, end: datetime) -> Missed | None:
        """Return all instants from `begin` to before `end` that run, including those to which excluded ones move."""
        schedule = self._schedule
        if isinstance(schedule, FixedRate) and schedule.period % _SECOND:
            return together([self.free(begin, end), gained(schedule, moves, self._zone, begin, end)])
        moving = Moving(moves.after, FARTHEST_DAYS, moves.target, self._end_of_gap, self._time.excludes)
        grid = schedule.anchor.microsecond if isinstance(schedule, FixedRate) else 0
        own = self._own(begin - _AROUND_MOVES, end + _AROUND_MOVES)
        return MovedCounts(moving, begin, end, grid).count((each, self._time.shape_of(each.part)) for each in own)

    def _counted(self, begin: datetime, end: datetime, *, excluded: bool) -> Missed | None:
        schedule, shape_of = self._schedule, self._time.shape_of
        if isinstance(schedule, FixedRate):
            parts = ((part, shape_of(part)) for part in self._parts(begin, end + _SECOND))
            return counted_of_rate(schedule, parts, begin, end, excluded=excluded)
        own = ((each.part, each.seconds, shape_of(each.part)) for each in self._own(begin - _AROUND, end + _AROUND))
        return counted(own, begin, end, grid=0, excluded=excluded)

    def _own(self, begin: datetime, end: datetime) -> Iterator[Own]:
        parts = list(self._parts(begin, end))
        schedule = self._schedule
        return own_parts_of_rate(schedule, parts) if isinstance(schedule, FixedRate) else own_parts(schedule, parts)

    def _parts(self, begin: datetime, end: datetime) -> Iterator[Part]:
        return parts_between(self._zone, begin.replace(microsecond=0), end.replace(microsecond=0))

    def _end_of_gap(self, day: int, second: int) -> datetime:
        """Return the instant at which the clock skips a second of a day (a proleptic ordinal)."""
        change = place(self._zone, datetime.fromordinal(day) + _SECOND * second)
        assert isinstance(change, Change)  # every other wall is shown on some part of its day
        return change.at
