"""Exclusion calendars in the computation of instants: a schedule with the effects of its policies."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache

from timers.domain.policies import Policies
from timers.exceptions import InvalidRequest
from timers.models import exclusion_calendar
from timers.models.timer import Timer
from timers.schedules import Schedule, parse_stored
from timers.schedules.excluding import Excluding
from timers.schedules.exclusions import ExclusionCalendar
from timers.schedules.zones import zone

logger = logging.getLogger(__name__)

Calendars = Mapping[str, ExclusionCalendar]


def read_calendars() -> dict[str, ExclusionCalendar]:
    """Return all exclusion calendars by name; an invalid one is left out, and logged."""
    found: dict[str, ExclusionCalendar] = {}
    for row in exclusion_calendar.ExclusionCalendar.objects.all():
        try:
            found[row.name] = ExclusionCalendar.parse(row.name, row.rules, row.time_zone or None)
        except Exception:
            logger.exception("exclusion calendar %s cannot be read", row.name)
    return found


def check_calendars(policies: Policies) -> None:
    """Raise InvalidRequest, with the nearest name, for a calendar that does not exist."""
    if policies.exclusion_calendars:
        known = list(exclusion_calendar.ExclusionCalendar.objects.values_list("name", flat=True))
        for name in policies.exclusion_calendars:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else "create it first"
                raise InvalidRequest("exclusion_calendars", f"there is no such calendar; {hint}", given=name)


def calendars_for(policies: Iterable[Policies]) -> Calendars:
    """Return all exclusion calendars if any of these policies names one; otherwise no query is made."""
    return read_calendars() if any(policy.exclusion_calendars for policy in policies) else {}


def named(policies: Policies, calendars: Calendars) -> tuple[ExclusionCalendar, ...]:
    """Return the calendars that these policies name.

    Raises:
        InvalidRequest: a calendar does not exist; to fire on excluded days would be worse.
    """
    for name in policies.exclusion_calendars:
        if name not in calendars:
            raise InvalidRequest(
                "exclusion_calendars", "names a calendar that does not exist or cannot be read", given=name
            )
    return tuple(calendars[name] for name in policies.exclusion_calendars)


def schedule_of(timer: Timer, calendars: Calendars | None = None) -> Schedule:
    """Return the timer's schedule with the exclusion calendars that its policies name; None: load the calendars."""
    policies = timer.policies()
    known = calendars_for([policies]) if calendars is None else calendars
    schedule = parse_stored(timer.schedule_kind, timer.schedule, timer.time_zone)
    return effective(schedule, policies, known, timer.time_zone)


def effective(schedule: Schedule, policies: Policies, calendars: Calendars, time_zone: str) -> Schedule:
    """Return the schedule with the exclusion calendars of its policies.

    Args:
        schedule: the schedule itself.
        policies: the policies, which name calendars.
        calendars: the known calendars by name.
        time_zone: the timer's time zone.

    Raises:
        InvalidRequest: a calendar does not exist.
    """
    if not policies.exclusion_calendars:
        return schedule
    return _excluding(schedule, named(policies, calendars), policies.on_excluded, time_zone)


@lru_cache(maxsize=4096)
def _excluding(
    schedule: Schedule, calendars: tuple[ExclusionCalendar, ...], on_excluded: str, time_zone: str
) -> Excluding:
    return Excluding(schedule, calendars, on_excluded, zone(time_zone))
