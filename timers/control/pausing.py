"""Validation of the arguments of operations that pause."""

from __future__ import annotations

from datetime import datetime

from timers.exceptions import InvalidRequest
from timers.schedules.instant import parse_instant


def check_until(until: datetime | str | None, now: datetime) -> datetime | None:
    """Return the instant at which a pause ends. Raise InvalidRequest if it has passed."""
    if until is None:
        return None
    at = parse_instant(until, "until")
    if at <= now:
        raise InvalidRequest("until", "has passed already", given=at.isoformat())
    return at
