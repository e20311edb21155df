"""Wall-clock schedules: due whenever the wall clock of a time zone shows certain walls."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from timers.schedules.clock_policy import ClockPolicy
from timers.schedules.instant import before_end, in_utc
from timers.schedules.schedule import Missed, Schedule
from timers.schedules.wall_clock import Change, changes_between, offset_at, place

_MICROSECOND = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_ENUMERATED = 100


class Walls(Protocol):
    """Some walls (naive datetimes of whole seconds), in order, finite or infinite."""

    def after(self, wall: datetime) -> datetime | None:
        """Return the first of them strictly after `wall`; None if there is none."""

    def count(self, start: datetime, end: datetime) -> int:
        """Return how many of them lie from `start` to before `end`."""

    def masks(self, first: int, last: int) -> Iterator[int]:
        """Yield those of each day from one to another (proleptic ordinals), as second masks (see second_masks.py)."""


class WallSchedule(Schedule):
    """Due when the clock of `zone` shows one of `walls`; `policy` defines what happens at a clock change.

    - gap, run_after: if any of the skipped walls is one of `walls`, the end of the gap is an instant of the schedule,
    one
      for all skipped walls together. gap, skip: skipped walls have no instant.
    - fold, once: the second pass through the repeated hour has no instants. fold, twice: both passes count.
    """

    __slots__ = ()

    zone: ZoneInfo

    @property
    @abstractmethod
    def walls(self) -> Walls:
        """What the clock shows when the schedule is due."""

    @property
    @abstractmethod
    def policy(self) -> ClockPolicy:
        """The clock policy, with defaults filled in."""

    def first(self, not_before: datetime) -> datetime | None:
        return self.next_after(in_utc(not_before) - _MICROSECOND)

    def next_after(self, moment: datetime) -> datetime | None:
        try:
            clock = in_utc(moment).astimezone(self.zone)
            wall = clock.replace(tzinfo=None, fold=0, microsecond=0)
            return before_end(self._next(wall, second_pass=clock.fold == 1))
        except OverflowError:
            return None

    def missed(self, first: datetime, until: datetime) -> Missed:
        """Return the instants from `first`, itself one of the schedule's, to `until` inclusive.

        Both the latest and the count are exact. Up to a hundred instants are iterated; beyond that the latest is found
        by bisection and the count computed, which costs some milliseconds.
        """
        first, until = in_utc(first), in_utc(until)
        latest, count = first, 1
        while (following := self.next_after(latest)) is not None and following <= until:
            if count == _ENUMERATED:
                return Missed(self._latest(following, until), 1 + self._count_after(first, until))
            latest, count = following, count + 1
        return Missed(latest, count)

    def count(self, begin: datetime, end: datetime) -> int:
        first = self.first(begin) if begin < end else None
        if first is None or first >= end:
            return 0
        return 1 + self._count_after(first, in_utc(end) - _MICROSECOND)

    def wall_of(self, instant: datetime) -> datetime:
        """Return the wall for which an instant of the schedule fires: at the end of a gap it may be a skipped one."""
        wall = instant.astimezone(self.zone).replace(tzinfo=None, fold=0)
        before = place(self.zone, wall - _MICROSECOND)
        if isinstance(before, Change) and before.at == instant and not self.walls.count(wall, wall + _SECOND):
            skipped = self.walls.after(before.wall_before - _SECOND)
            if skipped is not None and skipped < wall:
                return skipped
        return wall

    def _next(self, wall: datetime, *, second_pass: bool) -> datetime | None:
        here = place(self.zone, wall)
        if isinstance(here, Change):  # the clock shows it, so it is a fold
            if self.policy.fold == "once":
                if second_pass:  # the walls of the fold have fired in its first pass
                    wall = here.wall_before - _SECOND
            elif (again := self._next_within(here, wall, second_pass=second_pass)) is not None:
                return again
        while (match := self.walls.after(wall)) is not None:
            where = place(self.zone, match)
            if not isinstance(where, Change):
                return where
            if where.is_fold:
                return _instant(match, where.offset_before)
            if self.policy.gap == "run_after":
                return where.at
            wall = where.wall_after - _SECOND
        return None

    def _next_within(self, fold: Change, wall: datetime, *, second_pass: bool) -> datetime | None:
        """Return the next instant in the rest of a fold, if both of its passes count."""
        match = self.walls.after(wall)
        if match is not None and match < fold.wall_before:  # still in the same pass
            return _instant(match, fold.offset_after if second_pass else fold.offset_before)
        if not second_pass:
            match = self.walls.after(fold.wall_after - _SECOND)
            if match is not None and match < fold.wall_before:
                return _instant(match, fold.offset_after)
        return None

    def _latest(self, known: datetime, until: datetime) -> datetime:
        """Return the last instant up to `until`, starting from one that is known not to be after it."""
        latest, low, high = known, 0, (until - known) // _SECOND
        while low < high:
            middle = (low + high + 1) // 2
            found = self.first(known + _SECOND * middle)
            if found is not None and found <= until:
                latest, low = found, (found - known) // _SECOND
            else:
                high = middle - 1
        return latest

    def _count_after(self, start: datetime, until: datetime) -> int:
        """Return the number of instants after `start`, itself an instant, up to and including `until`."""
        policy, walls = self.policy, self.walls
        count, offset = 0, offset_at(self.zone, start)
        wall = _wall(start + _SECOND, offset)
        for change in changes_between(self.zone, start, until):
            count += walls.count(wall, change.wall_before)
            wall, offset = change.wall_after, change.offset_after
            if change.is_fold:
                if policy.fold == "once":
                    wall = change.wall_before
            elif policy.gap == "run_after" and self._fires_for(change):
                count += 1
        return count + walls.count(wall, _wall(until + _SECOND, offset).replace(microsecond=0))

    def _fires_for(self, gap: Change) -> bool:
        """Return whether a skipped wall fires at the end of the gap, if nothing else fires there anyway."""
        return (
            self.walls.count(gap.wall_before, gap.wall_after) > 0
            and self.walls.count(gap.wall_after, gap.wall_after + _SECOND) == 0
        )


def _instant(wall: datetime, offset: timedelta) -> datetime:
    return (wall - offset).replace(tzinfo=UTC)


def _wall(instant: datetime, offset: timedelta) -> datetime:
    return instant.replace(tzinfo=None) + offset
