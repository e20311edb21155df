"""How close together a schedule's instants come."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from timers.schedules.interval import FixedRate
from timers.schedules.schedule import Schedule

LOOKED_AT: Final = 200
"""Intervals that are looked at: of a cron expression every pattern of an hour or a day comes up among them."""
KEPT: Final = timedelta(minutes=1)
"""How long an answer is given again: to look takes some milliseconds, and must not be done while rows are locked."""
MOST_KEPT: Final = 10_000
"""As many schedules as one call may name."""

_kept: dict[Schedule, tuple[datetime, timedelta | None]] = {}


def shortest_interval(schedule: Schedule, after: datetime) -> timedelta | None:
    """The shortest time between two of the next instants after a moment, or one that lies up to a minute before it.

    None when there are not two.
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
