"""Debounce: a one-shot that is rescheduled repeatedly fires some time after the last call, with an upper bound.

Each replacement moves the instant; `debounce_max_wait` limits how long the timer can be postponed after its creation.
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
    """Raise InvalidRequest if a bound is given for timers that are not replaced."""
    if on_conflict != "replace" and any(spec.debounce_max_wait is not None for spec in specs):
        raise InvalidRequest(
            "debounce_max_wait", 'bounds how long replacements put a timer off; give on_conflict="replace" with it'
        )


def debounced(spec: TimerSpec, living: Timer | None, group: TimerGroup, now: datetime) -> TimerSpec:
    """Return the definition, with its instant limited to the bound.

    Args:
        spec: the new definition.
        living: the timer that it replaces; None: the timer is new.
        group: the timer's group.
        now: current time of the database.
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
