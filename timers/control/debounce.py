"""Debounce: a one-shot that is scheduled again and again fires a while after the last time, and not too late.

Each replacement moves the instant; `debounce_max_wait` bounds how long the timer may be put off since it was created.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from timers.control.spec import TimerSpec
from timers.engine.group_clock import GroupClock
from timers.exceptions import InvalidRequest
from timers.models import Timer, TimerGroup
from timers.schedules import parse
from timers.schedules.instant import parse_instant


def check_debounce(specs: Sequence[TimerSpec], on_conflict: str) -> None:
    """Raise InvalidRequest where a bound is given for timers that are not replaced."""
    if on_conflict != "replace" and any(spec.debounce_max_wait is not None for spec in specs):
        raise InvalidRequest(
            "debounce_max_wait", 'bounds how long replacements put a timer off; give on_conflict="replace" with it'
        )


def debounced(spec: TimerSpec, living: Timer | None, group: TimerGroup, now: datetime) -> TimerSpec:
    """The definition, at its bound where it asks for a later instant.

    Args:
        living: the timer that it replaces; None: it is new.
        now: the database's present instant.
    """
    if spec.debounce_max_wait is None:
        return spec
    clock = GroupClock.of(group)
    created_at = now if living is None or living.created_at is None else living.created_at
    latest = clock.moment(created_at) + timedelta(seconds=spec.debounce_max_wait)
    # A timer that was created long ago is not late because of that: it fires now.
    latest = max(latest, clock.moment(now))
    if parse_instant(spec.schedule.to_spec()["at"], "at") <= latest:
        return spec
    return replace(spec, schedule=parse("once", {"at": latest.isoformat()}, spec.time_zone))
