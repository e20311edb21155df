"""How close together a schedule's instants come."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from timers.schedules.interval import FixedRate
from timers.schedules.schedule import Schedule

LOOKED_AT: Final = 200
"""Intervals that are looked at: of a cron expression every pattern of an hour or a day comes up among them."""


def shortest_interval(schedule: Schedule, after: datetime) -> timedelta | None:
    """The shortest time between two of the next instants; None when there are not two."""
    if isinstance(schedule, FixedRate):
        return schedule.period
    shortest: timedelta | None = None
    instant = schedule.next_after(after)
    for _ in range(LOOKED_AT):
        following = None if instant is None else schedule.next_after(instant)
        if instant is None or following is None:
            break
        shortest = following - instant if shortest is None else min(shortest, following - instant)
        instant = following
    return shortest
