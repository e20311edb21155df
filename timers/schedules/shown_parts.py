"""Days that a wall clock shows, in chronological order; a day with a clock change is split into parts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from timers.schedules.instant import EPOCH
from timers.schedules.second_masks import SECONDS_A_DAY
from timers.schedules.wall_instants import steady_times

_EPOCH_DAY: Final = EPOCH.toordinal()


class Part(NamedTuple):
    """Seconds `low` to before `high` of a day of the wall clock, without clock change."""

    day: int
    """Proleptic Gregorian ordinal of the day."""
    low: int
    high: int
    base: int
    """Instant (seconds since 1970, UTC) at which second 0 is shown, or would be."""

    @property
    def is_whole(self) -> bool:
        return self.low == 0 and self.high == SECONDS_A_DAY

    @property
    def wall_begin(self) -> int:
        """First wall shown: seconds since the wall 1970-01-01 00:00."""
        return (self.day - _EPOCH_DAY) * SECONDS_A_DAY + self.low

    @property
    def wall_end(self) -> int:
        return (self.day - _EPOCH_DAY) * SECONDS_A_DAY + self.high


def parts_between(zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[Part]:
    """Yield the parts from `begin` to before `end` (whole UTC seconds); the first and the last are cut there."""
    for steady in steady_times(zone, begin, end):
        offset = int(steady.offset.total_seconds())
        wall, last = seconds_since_epoch(steady.begin) + offset, seconds_since_epoch(steady.end) + offset
        first_day, last_day = wall // SECONDS_A_DAY, (last - 1) // SECONDS_A_DAY
        for day in range(first_day, last_day + 1):
            midnight = day * SECONDS_A_DAY
            low = wall - midnight if day == first_day else 0
            high = last - midnight if day == last_day else SECONDS_A_DAY
            yield Part(day + _EPOCH_DAY, low, high, midnight - offset)


def seconds_since_epoch(instant: datetime) -> int:
    """Return whole seconds, rounded down."""
    since = instant - EPOCH
    return since.days * SECONDS_A_DAY + since.seconds


def day_of(ordinal: int) -> date:
    return date.fromordinal(ordinal)
