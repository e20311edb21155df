"""Lateness: time from the due instant of an execution to its start."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from timers.schedules.jitter import jitter_offset_us

_CLOCKS_DIFFER: Final = timedelta(seconds=1)
"""Maximum amount by which a worker's estimate of the database clock may be ahead."""


def lateness(
    started_at: datetime, scheduled_for: datetime, *, origin: str, name: str, jitter: float | None
) -> timedelta:
    """Return the time from the due instant of an execution to its start.

    A scheduled execution is due at its nominal instant plus the timer's jitter offset; others have no offset.

    Args:
        started_at: When its first attempt began.
        scheduled_for: The nominal instant.
        origin: Why it exists, as in execution ids.
        name: The timer's name, which determines its jitter offset.
        jitter: The timer's present jitter, in seconds; None: the timer is deleted. In that case, and if the execution
            began before its jitter offset (so the jitter has changed since), the nominal instant is used.
    """
    after_nominal = started_at - scheduled_for
    if origin != "schedule" or not jitter:
        return after_nominal
    share = timedelta(microseconds=jitter_offset_us(name, jitter))
    if after_nominal < share - _CLOCKS_DIFFER:
        return after_nominal
    return max(after_nominal - share, timedelta())
