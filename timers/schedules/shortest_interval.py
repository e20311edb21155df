"""Shortest interval between instants of a schedule."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from timers.schedules.interval import FixedRate
from timers.schedules.schedule import Schedule

LOOKED_AT: Final = 200
"""Number of intervals examined: they include every pattern of an hour or a day of a cron expression."""
KEPT: Final = timedelta(minutes=1)
"""How long a result is cached: computing takes some milliseconds, and must not happen while rows are locked."""
MOST_KEPT: Final = 10_000
"""Number of cached results: as many schedules as one call may have."""

_kept: dict[Schedule, tuple[datetime, timedelta | None]] = {}


def shortest_interval(schedule: Schedule, after: datetime) -> timedelta | None:
    """Return the shortest time between two of the next instants after a moment, or after one up to a minute earlier.

    None if there are fewer than two.
    """
    if isinstance(schedule, FixedRate):
        return schedule.period
    known = _kept.get(schedule)
    if known is None or not timedelta(0) <= after - known[0] <= KEPT:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        known = _kept[schedule] = after, _shortest(schedule, after)
    return known[1]


def _shortest(schedule: Schedule, after: datetime) -> timedelta | None:
    shortest: timedelta | None = None
    instant = schedule.next_after(after)
    for _ in range(LOOKED_AT):
        following = None if instant is None else schedule.next_after(instant)
        if instant is None or following is None:
            break
        shortest = following - instant if shortest is None else min(shortest, following - instant)
        instant = following
    return shortest
