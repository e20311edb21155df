"""Exclusion calendars: create, edit, delete.

Workers read calendars together with their groups, so every change here gives all groups a new version. It also
recomputes the next instants of the timers that use the calendar, as far as their excluded fires move.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final

from django.db import IntegrityError
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from timers import clock
from timers.control.audit import audited
from timers.control.call_back import call_back_groups, first_attempts_of
from timers.control.names import check_name
from timers.control.renew_groups import renew_groups
from timers.engine.recompute import new_instants, recompute, write_instants
from timers.engine.under_way import UnderWay
from timers.exceptions import InvalidRequest, NotAllowedNow, StaleVersion, TimerExists, TimerNotFound
from timers.models import ExclusionCalendar, Timer, TimerGroup
from timers.schedules.exclusions import ExclusionCalendar as Rules

EDITABLE: Final = ("rules", "description", "time_zone")
"""Fields that create_calendar and update_calendar accept."""
_NAMED: Final = 5


def create_calendar(
    name: str, *, rules: Any, description: str = "", time_zone: str = "", actor: str = ""
) -> ExclusionCalendar:
    """Create a calendar with these rules (see timers/schedules/exclusions.py).

    Args:
        name: name of the calendar.
        rules: the rules, as JSON values.
        description: text for people.
        time_zone: time zone whose wall clock determines the day; empty: the timer's.
        actor: who requests it; empty: the current actor.

    Raises:
        InvalidRequest: a rule is invalid; all invalid rules are named.
        TimerExists: the name is taken.
    """
    calendar = ExclusionCalendar(name=check_name("name", name), created_at=clock.now())
    _assign(calendar, {"rules": rules, "description": description, "time_zone": time_zone}, actor)
    try:
        with audited("calendar.create", actor, name=name) as entry:
            calendar.save()
            _take_effect(calendar)
            entry.made(calendar)
    except IntegrityError:
        raise TimerExists("name", "is taken by another calendar", given=name) from None
    return calendar


def update_calendar(name: str, *, version: int | None = None, actor: str = "", **fields: Any) -> ExclusionCalendar:
    """Change rules, description or time_zone. Workers apply the change with their next poll.

    Fires that are claimed but have not begun are undone, and decided by the new rules. The returned calendar's
    `in_flight` lists the executions that have begun.

    Args:
        name: name of the calendar.
        version: raise StaleVersion if the calendar was changed since this version was read; None: no check.
        actor: who requests it; empty: the current actor.
        fields: the fields to change.

    Raises:
        InvalidRequest: a field is unknown or invalid.
        StaleVersion: see `version`.
        TimerNotFound: there is no such calendar.
    """
    with audited("calendar.update", actor, name=name) as entry:
        calendar = entry.watch(_locked(name))
        if version is not None and version != calendar.version:
            raise StaleVersion(f"calendar {name!r} was changed meanwhile (version {calendar.version}, not {version})")
        held = calendar.rules, calendar.time_zone
        _assign(calendar, fields, actor)
        if not entry.has_changes:
            entry.nothing()
            return calendar
        calendar.version += 1
        calendar.save()
        if (calendar.rules, calendar.time_zone) != held:
            _take_effect(calendar)
        return calendar


def delete_calendar(name: str, *, actor: str = "") -> None:
    """Delete a calendar.

    Raises:
        NotAllowedNow: groups or timers refer to it; the message names them.
        TimerNotFound: there is no such calendar.
    """
    with audited("calendar.delete", actor, name=name) as entry:
        calendar = entry.gone(_locked(name))
        referring = [f"group {group.name}" for group in _groups(name)]
        referring += [f"timer {timer.group.name}/{timer.name}" for timer in _overriding(name)]
        if referring:
            more = f" and {len(referring) - _NAMED:,} more" if len(referring) > _NAMED else ""
            raise NotAllowedNow(
                f"calendar {name!r} is referred to by {', '.join(referring[:_NAMED])}{more}; take it off them first"
            )
        calendar.delete()
        renew_groups()


def _locked(name: str) -> ExclusionCalendar:
    calendar = ExclusionCalendar.objects.select_for_update().filter(name=name).first()
    if calendar is None:
        raise TimerNotFound(f"there is no exclusion calendar {name!r}")
    return calendar


def _assign(calendar: ExclusionCalendar, fields: dict[str, Any], actor: str) -> None:
    problems: list[InvalidRequest] = []
    for name in sorted(fields.keys() - set(EDITABLE)):
        near = get_close_matches(name, EDITABLE, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(EDITABLE)}"
        problems.append(InvalidRequest(name, f"is not known; {hint}"))
    texts = [name for name in ("description", "time_zone") if not isinstance(fields.get(name, ""), str)]
    problems += [InvalidRequest(name, "must be text", given=fields[name]) for name in texts]
    wanted = {name: fields.get(name, getattr(calendar, name)) for name in EDITABLE}
    if not problems:
        try:
            rules = Rules.parse(calendar.name, wanted["rules"], wanted["time_zone"])
            wanted["rules"] = rules.to_spec()
        except InvalidRequest as error:
            problems.append(error)
    if problems:
        raise InvalidRequest.combined(problems)
    for name, value in wanted.items():
        setattr(calendar, name, value)
    calendar.updated_at, calendar.updated_by = clock.now(), actor


def _take_effect(calendar: ExclusionCalendar) -> None:
    own = {timer.id: timer.group_id for timer in _overriding(calendar.name)}
    groups = {group.id for group in _groups(calendar.name)}

    def concerns(each: UnderWay) -> bool:
        return each.timer_id in own or each.group_id in groups

    computed = new_instants(Timer.objects.filter(Q(group__in=groups) | Q(id__in=own)))
    # The groups are locked until the transaction ends, and new timers wait for them. So all computing is done before,
    # except for the few timers that are claimed ahead: these are due again, and fire by the calendar as it is now.
    renew_groups()
    concerned = groups | set(own.values())
    firsts = first_attempts_of(concerned, concerns)
    computed.lock(firsts)
    calendar.in_flight = call_back_groups(concerned, only=concerns, give_back=False)
    write_instants(computed)
    recompute(Timer.objects.filter(id__in=firsts))


def _groups(calendar: str) -> QuerySet[TimerGroup]:
    return TimerGroup.objects.filter(exclusion_calendars__contains=[calendar]).order_by("name")


def _overriding(calendar: str) -> Iterator[Timer]:
    """Yield the living timers that name the calendar themselves."""
    living = Timer.objects.filter(state__in=(Timer.State.ACTIVE, Timer.State.PAUSED), overrides__isnull=False)
    naming = living.annotate(text=Cast("overrides", TextField())).filter(text__contains='"exclusion_calendars"')
    for timer in naming.select_related("group").only("name", "overrides", "group__name").iterator():
        names = timer.overrides.get("exclusion_calendars") if isinstance(timer.overrides, dict) else None
        if isinstance(names, list) and calendar in names:
            yield timer
