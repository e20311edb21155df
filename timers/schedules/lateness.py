"""Lateness: how long after the instant at which it was due an execution began."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from timers.schedules.jitter import jitter_offset_us

_CLOCKS_DIFFER: Final = timedelta(seconds=1)
"""By how much a worker's estimate of the database's clock may be ahead."""


def lateness(
    started_at: datetime, scheduled_for: datetime, *, origin: str, name: str, jitter: float | None
) -> timedelta:
    """Return the time from the instant that an execution was due to its start.

    A scheduled execution is due at its nominal instant plus the timer's share of the jitter; others have no share.

    Args:
        started_at: when its first try began.
        scheduled_for: the nominal instant.
        origin: why it exists, as in execution ids.
        name: the timer's name, which decides its share.
        jitter: the timer's jitter now, in seconds; None: the timer is gone. Then, and where the execution began before
            its share of that jitter (so the jitter has been changed since), the nominal instant counts.
    """
    after_nominal = started_at - scheduled_for
    if origin != "schedule" or not jitter:
        return after_nominal
    share = timedelta(microseconds=jitter_offset_us(name, jitter))
    if after_nominal < share - _CLOCKS_DIFFER:
        return after_nominal
    return max(after_nominal - share, timedelta())
