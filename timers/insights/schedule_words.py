"""A stored schedule in plain words; one that cannot be read says so instead of breaking the page it is on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from timers.exceptions import SpecError
from timers.payload import Unreadable
from timers.schedules import Schedule
from timers.schedules import parse as parse_schedule


def schedule_words(kind: str, spec: Any, time_zone: str) -> str:
    """The schedule in words, or "unreadable: ..." with the reason."""
    try:
        return readable_schedule(kind, spec, time_zone).describe()
    except SpecError as error:
        return f"unreadable: {error}"


def next_instants(kind: str, spec: Any, time_zone: str, after: datetime, count: int) -> list[datetime]:
    """The schedule's next instants after `after`, at most `count`; none when it cannot be read."""
    instants: list[datetime] = []
    try:
        schedule = readable_schedule(kind, spec, time_zone)
    except SpecError:
        return instants
    moment: datetime | None = schedule.next_after(after)
    while moment is not None and len(instants) < count:
        instants.append(moment)
        # A delay counts from the end of a run, which is not known: only its first instant is.
        moment = None if kind == "fixed_delay" else schedule.next_after(moment)
    return instants


def readable_schedule(kind: str, spec: Any, time_zone: str) -> Schedule:
    """The schedule of a timer's columns; raises SpecError for whatever cannot be read."""
    if isinstance(spec, Unreadable):
        raise SpecError("schedule", spec.reason)
    return parse_schedule(kind, spec, time_zone)
