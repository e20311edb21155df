"""The next instant of a timer after an edit. Pure: it depends on the timer before, the definition after, and the time.

Three rules, for every kind of schedule:

- An edit that does not change the instants does not change the next one, even if it has come and waits for a worker or
  for its share of the jitter.
- An instant that has come fires as it was. Only a new schedule without this instant removes it; the caller then records
  that it was dropped.
- A fixed delay continues to count from the end of the previous run: its instants do not follow from the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from timers.control.limits import Limits
from timers.control.spec import TimerSpec
from timers.exceptions import InvalidRequest
from timers.models import Timer
from timers.models.calendars import Calendars, schedule_of
from timers.schedules import Missed, Schedule
from timers.schedules.interval import FixedDelay
from timers.schedules.rule import Rule

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Before:
    """A timer as it was before the edit."""

    rule: Rule
    """The rule of its schedule."""
    time_zone: str
    start_at: datetime | None
    end_at: datetime | None
    exclusions: tuple[tuple[str, ...], str]
    """The names of its exclusion calendars, and the policy for excluded fires."""
    due: datetime | None
    """Its next nominal instant; None: it has ended, or waits for the end of its execution."""
    last: datetime | None
    """The latest nominal instant that was fired, possibly ahead of the clock."""
    missed: Callable[[datetime], Missed]
    """Returns the instants from `due` to an instant of the group's clock."""

    @classmethod
    def of(cls, timer: Timer, limits: Limits, calendars: Calendars | None = None) -> Before:
        """Read the state from the row, before it is edited. `limits` bounds the cost of counting missed instants."""
        due = None if timer.next_fire_at is None else timer.next_fire_at - timer.offset
        return cls(
            rule_of(timer),
            timer.time_zone,
            timer.start_at,
            timer.end_at,
            exclusions_of(timer),
            due,
            timer.last_fire_at,
            _missed_by(timer, due, limits, calendars),
        )


def rule_of(timer: Timer) -> Rule:
    """Return the schedule rule of a timer's row."""
    return Rule(timer.schedule_kind, timer.schedule, timer.time_zone)


class Next(NamedTuple):
    """The effect of an edit on the next instant."""

    due: datetime | None
    """The next nominal instant; None: the end of the execution determines it."""
    given_up: Missed | None = None
    """Instants that had come and will not fire, because the schedule changed."""
    is_recomputed: bool = False
    """Whether `due` was computed, so that it may be an instant that a person skipped."""


def next_after_edit(before: Before, spec: TimerSpec, schedule: Schedule, after: Timer, now: datetime) -> Next:
    """Return the next instant of a living timer.

    Args:
        before: the timer before the edit.
        spec: its definition after the edit.
        schedule: its schedule after the edit, with exclusion calendars.
        after: its row, with the columns of the definition written.
        now: current time of the group's clock.

    Raises:
        InvalidRequest: no instant is left to fire.
    """
    if before.due is None:
        return Next(None)
    rule = rule_of(after)
    if rule.kind == before.rule.kind == FixedDelay.kind:
        return Next(_checked(_delayed(before, spec, schedule, now), spec))
    has_rule = before.rule == rule
    is_same = (
        has_rule
        and before.time_zone == spec.time_zone
        and before.start_at == spec.start_at
        and before.exclusions == exclusions_of(after)
    )
    if is_same or (before.due <= now and has_rule):
        return Next(_checked(before.due, spec))
    given_up = None
    if before.due <= now:
        given_up = before.missed(now)
        if given_up.count == 1 and _has_alone(spec, schedule, before.due, now):
            return Next(_checked(before.due, spec))
    return Next(first_beyond(before.last, spec, schedule, now), given_up, is_recomputed=True)


def first_beyond(last: datetime | None, spec: TimerSpec, schedule: Schedule, now: datetime) -> datetime:
    """Return the first nominal instant from now on that is after the last one fired.

    Args:
        last: latest nominal instant that was fired; None: none was.
        spec: definition of the timer.
        schedule: its schedule, with exclusion calendars.
        now: current time of the group's clock.

    Raises:
        InvalidRequest: there is no such instant.
    """
    if last is None:
        return spec.first_fire(now, schedule)
    beyond = last + _MICROSECOND
    return max(spec.first_fire(max(now, beyond), schedule), beyond)


def exclusions_of(timer: Timer) -> tuple[tuple[str, ...], str]:
    """Return the names of the calendars that apply to a timer, and the policy for excluded fires."""
    try:
        policies = timer.policies()
    except InvalidRequest:
        return (), ""
    return policies.exclusion_calendars, policies.on_excluded


def _delayed(before: Before, spec: TimerSpec, schedule: Schedule, now: datetime) -> datetime:
    assert before.due is not None
    due, delay = before.due, spec.schedule
    if due <= now or not isinstance(delay, FixedDelay):
        return due
    if before.last is None and spec.start_at != before.start_at:
        return spec.first_fire(now, schedule)
    is_first = before.last is None and before.start_at is not None
    if not is_first and before.rule != Rule(FixedDelay.kind, delay.to_spec(), spec.time_zone):
        try:
            counted_from = due - FixedDelay.parse(before.rule.spec, spec.time_zone).delay
        except InvalidRequest:
            counted_from = now
        due = max(now, counted_from + delay.delay)
    if spec.start_at is not None:
        due = max(due, spec.start_at)
    return schedule.first(due) or due


def _has_alone(spec: TimerSpec, schedule: Schedule, due: datetime, now: datetime) -> bool:
    """Return whether the schedule has this instant too, and none between it and now."""
    if spec.start_at is not None and due < spec.start_at:
        return False
    following = schedule.next_after(due)
    return schedule.first(due) == due and (following is None or following > now)


def _checked(due: datetime, spec: TimerSpec) -> datetime:
    if spec.end_at is not None and due > spec.end_at:
        raise InvalidRequest("end_at", f"is before the next fire ({due.isoformat()})", given=spec.end_at.isoformat())
    return due


def _missed_by(
    timer: Timer, due: datetime | None, limits: Limits, calendars: Calendars | None
) -> Callable[[datetime], Missed]:
    # The schedule before the edit; it is built only if needed.
    row = Timer(
        schedule_kind=timer.schedule_kind, schedule=timer.schedule, time_zone=timer.time_zone, overrides=timer.overrides
    )
    row.group, end_at = timer.group, timer.end_at

    def missed(now: datetime) -> Missed:
        assert due is not None
        try:
            schedule = limits.of(schedule_of(row, calendars))
            found = schedule.missed(due, now if end_at is None else min(now, end_at))
        except InvalidRequest:
            found = None
        return found or Missed(due, 1)

    return missed
