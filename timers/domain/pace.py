"""Pace: the number of executions per second that an operation makes ready or ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from timers.exceptions import InvalidRequest

SLOWEST: Final = 0.001
FASTEST: Final = 10_000


def check_pace(value: Any, field: str) -> float | None:
    """Validate a pace in executions per second; None: no limit. Raises InvalidRequest."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not SLOWEST <= value <= FASTEST:
        raise InvalidRequest(field, f"must be from {SLOWEST} to {FASTEST:,}", given=value)
    return float(value)


def pause_between(pace: float | None) -> timedelta:
    """Return the time between two executions."""
    return timedelta(0) if pace is None else timedelta(seconds=1 / pace)
