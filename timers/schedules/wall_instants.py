"""Conversion between walls and instants where each wall has one instant: the first at which it is reached."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from timers.schedules.wall_clock import Change, changes_between, offset_at, place

_MICROSECOND = timedelta(microseconds=1)


class SteadyTime(NamedTuple):
    """From `begin` to before `end` (UTC) there is no clock change: the wall clock is ahead of UTC by `offset`."""

    begin: datetime
    end: datetime
    offset: timedelta


def steady_times(zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[SteadyTime]:
    """Yield the time from `begin` to `end`, cut at the clock changes of the zone."""
    offset = offset_at(zone, begin)
    for change in changes_between(zone, begin, end):
        if begin < change.at:
            yield SteadyTime(begin, change.at, offset)
        begin, offset = change.at, change.offset_after
    if begin < end:
        yield SteadyTime(begin, end, offset)


def instant_of(zone: ZoneInfo, wall: datetime) -> datetime:
    """Return the instant at which the clock first shows a wall, or passes it if the wall is skipped."""
    where = place(zone, wall)
    if not isinstance(where, Change):
        return where
    return (wall - where.offset_before).replace(tzinfo=UTC) if where.is_fold else where.at


def first_wall_from(zone: ZoneInfo, instant: datetime) -> datetime:
    """Return the first wall whose instant (see instant_of) is not before this UTC instant."""
    local = instant.astimezone(zone)
    wall = local.replace(tzinfo=None, fold=0)
    if local.fold:  # shown for the second time: all walls of the fold have had their instants
        where = place(zone, wall)
        return where.wall_before if isinstance(where, Change) else wall
    just_before = place(zone, wall - _MICROSECOND)
    if isinstance(just_before, Change) and just_before.at == instant:  # the end of a gap is the instant of its walls
        return just_before.wall_before
    return wall
