"""The description of a stored schedule; an unreadable one yields a message instead of breaking the page."""

from __future__ import annotations

from typing import Any

from timers.domain.payload import Unreadable
from timers.exceptions import InvalidRequest
from timers.schedules import Schedule
from timers.schedules import parse as parse_schedule


def schedule_words(kind: str, spec: Any, time_zone: str) -> str:
    """Return the description of the schedule, or "unreadable: ..." with the reason.

    Args:
        kind: the kind of the schedule.
        spec: its stored JSON value.
        time_zone: the timer's time zone.
    """
    try:
        return readable_schedule(kind, spec, time_zone).describe()
    except InvalidRequest as error:
        return f"unreadable: {error}"


def readable_schedule(kind: str, spec: Any, time_zone: str) -> Schedule:
    """Return the schedule of a timer's columns.

    Args:
        kind: the kind of the schedule.
        spec: its stored JSON value.
        time_zone: the timer's time zone.

    Raises:
        InvalidRequest: the schedule cannot be read.
    """
    if isinstance(spec, Unreadable):
        raise InvalidRequest("schedule", spec.reason)
    return parse_schedule(kind, spec, time_zone)
