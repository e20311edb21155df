"""Clock changes of a time zone: those that skip walls (gap) or show them twice (fold).

A *wall* is what the clock on the wall shows: a naive datetime, without fold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)
# No zone is farther from UTC than a day, so this has an offset in each of them.
_FIRST = datetime(1, 1, 2, tzinfo=UTC)
# The zones' changes since 1970 are six days apart or more, so no two of them fall between two samples.
_STRIDE = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Change:
    """The wall clock is set forward (a gap) or back (a fold) at the instant `at`."""

    at: datetime
    offset_before: timedelta
    offset_after: timedelta

    @property
    def is_fold(self) -> bool:
        return self.offset_after < self.offset_before

    @property
    def wall_before(self) -> datetime:
        """What the clock would have shown at that instant without the change."""
        return self.at.replace(tzinfo=None) + self.offset_before

    @property
    def wall_after(self) -> datetime:
        """What the clock shows at that instant."""
        return self.at.replace(tzinfo=None) + self.offset_after


def offset_at(zone: ZoneInfo, instant: datetime) -> timedelta:
    """Return how far the wall clock is ahead of UTC at a UTC instant."""
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None  # a ZoneInfo always has one
    return offset


def place(zone: ZoneInfo, wall: datetime) -> datetime | Change:
    """Return the one UTC instant at which the clock shows this wall, or the change that skips or repeats it."""
    before = wall.replace(tzinfo=zone, fold=0).utcoffset()
    after = wall.replace(tzinfo=zone, fold=1).utcoffset()
    assert before is not None and after is not None
    if before == after:
        return (wall - before).replace(tzinfo=UTC)
    low, high = sorted((wall - before, wall - after))
    return _change_between(zone, low.replace(tzinfo=UTC), high.replace(tzinfo=UTC))


def changes_between(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[Change]:
    """Yield the changes after `start` up to and including `end` (UTC instants), in order."""
    for year in range(start.year, end.year + 1):
        for change in _changes_in(zone, year):
            if start < change.at <= end:
                yield change


@lru_cache(maxsize=4096)
def _changes_in(zone: ZoneInfo, year: int) -> tuple[Change, ...]:
    """Return the changes of a year of UTC, from its first instant to before that of the next year."""
    found = []
    end = datetime(year + 1, 1, 1, tzinfo=UTC) - _MICROSECOND if year < MAXYEAR else datetime.max.replace(tzinfo=UTC)
    # Starts before the year: a change in its very first instant belongs to it.
    start = max(datetime(year, 1, 1, tzinfo=UTC) - _SECOND, _FIRST)
    offset = offset_at(zone, start)
    while start < end:
        look = min(start + _STRIDE, end) if end - start > _STRIDE else end
        if (offset_there := offset_at(zone, look)) != offset:
            found.append(_change_between(zone, start, look))
        start, offset = look, offset_there
    return tuple(found)


def _change_between(zone: ZoneInfo, low: datetime, high: datetime) -> Change:
    """Return the one change after `low` up to and including `high`, found by bisection to the second."""
    before, after = offset_at(zone, low), offset_at(zone, high)
    seconds = -((low - high) // _SECOND)
    unchanged = 0
    while seconds - unchanged > 1:
        middle = (unchanged + seconds) // 2
        if offset_at(zone, low + _SECOND * middle) == before:
            unchanged = middle
        else:
            seconds = middle
    # `low` may be between two seconds; the clock is never set between two seconds.
    return Change((low + _SECOND * seconds).replace(microsecond=0), before, after)
