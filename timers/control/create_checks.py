"""Checks of each timer by itself before any is written: its first instant, or its error."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

from timers.control.action_checks import check_action_of_timer
from timers.control.quotas import check_interval, check_payload, without_room
from timers.control.spec import TimerSpec
from timers.engine.cpu_budget import CpuBudget
from timers.engine.group_clock import GroupClock
from timers.exceptions import InvalidRequest
from timers.models import TimerGroup
from timers.models.calendars import calendars_for, effective
from timers.schedules import Schedule

Planned = datetime | InvalidRequest
"""The first instant of a timer that may be written, or the reason why it may not."""


class Instants:
    """Computes first instants, with the exclusion calendars that the timers' policies name."""

    def __init__(self, groups: Iterable[TimerGroup], specs: Sequence[TimerSpec]) -> None:
        self._of_group = {group.name: group.policies() for group in groups}
        self._calendars = calendars_for(spec.policies(self._of_group[spec.group]) for spec in specs)

    def first(self, spec: TimerSpec, not_before: datetime) -> datetime:
        """Return when the timer is first due at or after an instant: its first nominal instant plus its jitter."""
        return spec.first_fire(not_before, self.schedule(spec)) + spec.offset

    def schedule(self, spec: TimerSpec) -> Schedule:
        """Return the schedule with the exclusion calendars of its policies."""
        policies = spec.policies(self._of_group[spec.group])
        return effective(spec.schedule, policies, self._calendars, spec.time_zone)


def plan(
    specs: Sequence[TimerSpec],
    groups: Mapping[str, TimerGroup],
    now: datetime,
    first: Callable[[TimerSpec, datetime], datetime],
    settled: Collection[tuple[int, str]] = (),
    budget: CpuBudget | None = None,
) -> list[Planned]:
    """Return the first instant or the error of each timer, in the given order.

    Args:
        specs: the timers.
        groups: their groups, by name.
        now: current time of the database.
        first: computes when a timer is first due, from its group's current time on.
        settled: group ids and names of the timers that already have this definition and need no check.
        budget: CPU time that they may use; the rest is rejected.
    """
    nows = {name: GroupClock.of(group).moment(now) for name, group in groups.items()}
    actions = {
        (group, action): _mistake(lambda: check_action_of_timer(action, groups[group]))  # noqa: B023 - called at once
        for group, action in {(spec.group, spec.action) for spec in specs}
    }
    seen: set[tuple[str, str]] = set()
    planned: list[Planned] = []
    for spec in specs:
        try:
            if budget is not None:
                budget.charge()
                if budget.is_spent:
                    raise too_costly()
            is_settled = bool(settled) and (groups[spec.group].id, spec.name) in settled
            if not is_settled and (wrong := actions[spec.group, spec.action]) is not None:
                raise wrong
            if (spec.group, spec.name) in seen:
                raise InvalidRequest("name", f"comes twice for group {spec.group} in one call", given=spec.name)
            seen.add((spec.group, spec.name))
            if not is_settled:
                check_payload(groups[spec.group], spec.payload)
                check_interval(groups[spec.group], spec.schedule, nows[spec.group])
            planned.append(first(spec, nows[spec.group]))
        except InvalidRequest as error:
            planned.append(error)
    return planned


def too_costly() -> InvalidRequest:
    """Return the error for a request that was not checked because the CPU time was used up."""
    words = "was not looked at: the requests before it used up the CPU time of one call. Send it in another call."
    return InvalidRequest("body", words)


def refuse_beyond_quotas(specs: Sequence[TimerSpec], planned: list[Planned], held: Iterable[TimerGroup]) -> None:
    """Replace the instants of timers for which their groups (locked) have no room by errors."""
    for group in held:
        wanted = [
            spec.name
            for spec, each in zip(specs, planned, strict=True)
            if spec.group == group.name and isinstance(each, datetime)
        ]
        refused = without_room(group, wanted)
        for place, spec in enumerate(specs):
            if spec.group == group.name and spec.name in refused and isinstance(planned[place], datetime):
                planned[place] = refused[spec.name]


def _mistake(check: Callable[[], None]) -> InvalidRequest | None:
    try:
        check()
    except InvalidRequest as error:
        return error
    return None
