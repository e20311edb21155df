"""What verbs that pause are asked for."""

from __future__ import annotations

from datetime import datetime

from timers.exceptions import SpecError
from timers.schedules.instant import parse_instant


def check_until(until: datetime | str | None, now: datetime) -> datetime | None:
    """The instant at which a pause shall end; raises SpecError for one that has passed."""
    if until is None:
        return None
    at = parse_instant(until, "until")
    if at <= now:
        raise SpecError("until", "has passed already", given=at.isoformat())
    return at
