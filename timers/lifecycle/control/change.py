"""Change a timer: edit, pause, resume, cancel, run now. Each locks the timer's row, as a fire does."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from timers import clock
from timers.exceptions import NotAllowedNow, SpecError, StaleVersion, TimerNotFound
from timers.execution_id import execution_id
from timers.lifecycle import ledger
from timers.lifecycle.control.action_checks import check_action_of_timer
from timers.lifecycle.control.audit import audited
from timers.lifecycle.control.executions import cancel_unfailed
from timers.lifecycle.control.groups import note_priorities
from timers.lifecycle.control.pausing import check_until
from timers.lifecycle.control.quotas import check_interval, check_payload, count_in, hold_quotas, without_room
from timers.lifecycle.control.run import make_run
from timers.lifecycle.control.spec import TimerSpec, check_priority
from timers.lifecycle.fence import revoke
from timers.lifecycle.group_clock import GroupClock
from timers.lifecycle.recompute import is_done
from timers.lifecycle.wakeup import wake_if_soon
from timers.mistakes import Mistakes
from timers.models import Timer, TimerGroup, Waiting
from timers.models.calendars import schedule_of
from timers.payload import Unreadable, encode
from timers.policies import check_seconds
from timers.schedules import Missed, Schedule
from timers.schedules import parse as parse_schedule
from timers.schedules.duration import Duration
from timers.schedules.instant import from_microseconds, to_microseconds


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The answer to a cancel."""

    timer: Timer
    in_flight: list[str]
    """Executions that were claimed already: told to stop if they have not started, but they may run."""
    cancelled: int
    """Executions that waited for another try and will not get it."""


_MICROSECOND: Final = timedelta(microseconds=1)

KEEP: Any = object()
"""Marks an argument that was not given: the timer keeps what it has."""


_STATE: Final = (
    "state", "state_reason", "state_changed_by", "state_changed_at", "paused_until", "next_fire_at", "open_execution",
    "failures_in_a_row",
)  # fmt: skip
_EDITED: Final = (
    "schedule_kind", "schedule", "time_zone", "start_at", "end_at", "max_fires", "jitter", "priority",
    "until_committed", "description", "tags", "payload", "action", "overrides", "state", "next_fire_at", "fire_count",
    "open_execution",
)  # fmt: skip


def update_timer(
    group: str,
    name: str,
    *,
    actor: str = "",
    version: int | None = None,
    schedule: Callable[[], Schedule] | None = None,
    time_zone: Any = KEEP,
    mistakes: Mistakes | None = None,
    **fields: Any,
) -> Timer:
    """Replace the given fields of a timer; the instants it fires only rise, whatever the edit. None given: no change.

    `version`: refuse (StaleVersion) when someone changed the timer since it was read. Raises SpecError for what makes
    no sense, and for the `mistakes` found before; NotAllowedNow for a cancelled timer. A finished timer with a new
    schedule becomes active again.
    """
    with audited("timer.update", actor, group=group, name=name) as entry:
        if "priority" in fields:
            # Before the timer is locked: whoever holds a group may want its timers.
            _announce(group, fields["priority"])
        limited = hold_quotas([group]) if schedule is not None else {}
        timer = entry.watch(lock_timer(group, name))
        if version is not None and timer.version != version:
            raise StaleVersion(f"the timer is at version {timer.version}, not {version}; read it again")
        if timer.state == Timer.State.CANCELLED:
            raise NotAllowedNow(f"timer {name!r} is cancelled; schedule it anew")
        if schedule is None and time_zone is KEEP and not fields:
            if mistakes is not None:
                mistakes.tell()
            entry.nothing()
            return timer
        current: dict[str, Any] = {
            "payload": timer.payload,
            "start_at": timer.start_at,
            "end_at": timer.end_at,
            "max_fires": timer.max_fires,
            "jitter": timer.jitter,
            "priority": timer.priority,
            "until_committed": timer.until_committed,
            "action": timer.action,
            "overrides": timer.overrides,
            "tags": timer.tags,
            "description": timer.description,
        }
        if "handler" in fields:
            current.pop("action")
        _refuse_unreadable(timer, given={*fields, *(["schedule"] if schedule else [])})
        zone_name = timer.time_zone if time_zone is KEEP else time_zone
        spec = TimerSpec.parse(
            group=group,
            name=name,
            time_zone=zone_name,
            mistakes=mistakes,
            schedule=schedule or (lambda: parse_schedule(timer.schedule_kind, timer.schedule, zone_name)),
            **{**current, **fields},
        )
        check_action_of_timer(spec.action, timer.group)
        if "payload" in fields:
            check_payload(timer.group, spec.payload)
        if schedule is not None:
            check_interval(timer.group, spec.schedule, _now_of(timer))
        was_over = timer.state == Timer.State.FINISHED
        before = _exclusions(timer)
        missed = None if schedule is None else _missed(timer)
        due_us = None if timer.next_fire_at is None else to_microseconds(timer.next_fire_at - timer.offset)
        spec.write_to(timer)
        if (
            schedule is not None
            or time_zone is not KEEP
            or {"start_at", "end_at", "jitter"} & set(fields)
            or _exclusions(timer) != before
        ):
            if missed is not None:
                record_skip(timer, missed.latest, "edited", beside=missed.count - 1)
            _move(timer, spec, due_us, anew=schedule is not None)
        if was_over and timer.state == Timer.State.ACTIVE:
            for held in limited.values():
                for refused in without_room(held, [name]).values():
                    raise refused
                count_in(held, 1)
        return saved(timer, actor, _EDITED)


def _announce(group: str, priority: Any) -> None:
    row = TimerGroup.objects.filter(name=group).first()
    # One that makes no sense is told of with all other mistakes.
    with suppress(SpecError):
        if row is not None:
            note_priorities(row, {check_priority(priority)})


def pause_timer(
    group: str, name: str, *, until: datetime | str | None = None, reason: str = "", actor: str = ""
) -> Timer:
    """Fire no more until resumed, by hand or by itself at `until`.

    An execution that is claimed or waits for a retry goes on. Pausing a paused timer sets its `until` anew.
    """
    with audited("timer.pause", actor, group=group, name=name) as entry:
        timer = entry.watch(lock_timer(group, name))
        at = check_until(until, _now_of(timer))
        if timer.state == Timer.State.PAUSED and timer.paused_until == at:
            entry.nothing()
            return timer
        if timer.state not in (Timer.State.ACTIVE, Timer.State.PAUSED):
            raise NotAllowedNow(f"timer {name!r} is {timer.state}; only an active one can be paused")
        timer.paused_until = at
        return _set_state(timer, Timer.State.PAUSED, reason, actor)


def resume_timer(group: str, name: str, *, actor: str = "") -> Timer:
    """Fire again; what was missed meanwhile follows the misfire policy, and failures are counted from none."""
    with audited("timer.resume", actor, group=group, name=name) as entry:
        timer = entry.watch(lock_timer(group, name))
        if timer.state == Timer.State.ACTIVE:
            entry.nothing()
            return timer
        if timer.state != Timer.State.PAUSED:
            raise NotAllowedNow(f"timer {name!r} is {timer.state}; only a paused one can be resumed")
        if timer.next_fire_at is not None:
            wake_if_soon([timer.next_fire_at], _now_of(timer))
        timer.paused_until, timer.failures_in_a_row = None, 0
        return _set_state(timer, Timer.State.ACTIVE, "", actor)


def cancel_timer(group: str, name: str, *, reason: str = "", actor: str = "") -> Cancelled:
    """Never fire again, and give up retries that wait. Failed executions stay for a person.

    What is claimed already cannot be called back for certain: it is told to stop if it has not started, and named in
    the answer's `in_flight`.
    """
    with audited("timer.cancel", actor, group=group, name=name) as entry:
        timer = entry.watch(lock_timer(group, name))
        if timer.state in (Timer.State.FINISHED, Timer.State.CANCELLED) and not _is_alive(timer):
            raise NotAllowedNow(f"timer {name!r} is {timer.state} already")
        timer.next_fire_at = timer.open_execution = timer.paused_until = None
        _set_state(timer, Timer.State.CANCELLED, reason, actor)
        why = reason or "the timer was cancelled"
        cancelled = cancel_unfailed(timer.id, reason=why)
        in_flight = claimed_executions(timer)
        revoke(in_flight, timer.group_id, why)
        entry.many(in_flight=in_flight)
        entry.told(cancelled_executions=cancelled)
    return Cancelled(timer, in_flight, cancelled)


def fire_timer(group: str, name: str, *, payload: Any = KEEP, delay: Duration = 0, actor: str = "") -> str:
    """Run the timer's action once, now or after `delay` seconds, beside its schedule; returns the execution's id.

    `payload`: another one for this run. Works in every state of the timer but cancelled.
    """
    seconds = check_seconds("delay", delay)
    text = None if payload is KEEP else encode(payload)
    with audited("timer.fire", actor, group=group, name=name) as entry:
        timer = entry.watch(lock_timer(group, name))
        now = _now_of(timer)
        reason = f"run now by {actor}" if actor else "run now"
        execution = make_run(timer, "manual", now + timedelta(seconds=seconds), now=now, payload=text, reason=reason)
        entry.told(execution=execution, delay=seconds, **({} if text is None else {"payload": json.loads(text)}))
        return execution


def claimed_executions(timer: Timer) -> list[str]:
    """The timer's executions that a worker holds right now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.id::text FROM timers_claim c, unnest(c.executions) AS e(id) WHERE c.group_id = %s"
            # Bits 18 to 61 of an execution id are its timer's.
            " AND ((('x' || right(replace(e.id::text, '-', ''), 16))::bit(64)::bigint >> 18) & %s) = %s",
            (timer.group_id, (1 << 44) - 1, timer.id),
        )
        return [execution for (execution,) in cursor.fetchall()]


def _move(timer: Timer, spec: TimerSpec, due_us: int | None, *, anew: bool) -> None:
    """Set the next instant after an edit; `anew`: the rule itself was replaced, not only its bounds or zone.

    `due_us`: the nominal instant that was next before the edit.
    """
    now = _now_of(timer)
    is_over = timer.state == Timer.State.FINISHED
    if is_over and not anew:
        return
    if not is_over and timer.next_fire_at is None and timer.open_execution is not None:
        # The end of its execution brings the next instant, by the rule as it is then.
        return
    if timer.next_fire_at is not None and timer.next_fire_at <= now and not anew:
        # Due already: it fires as it was, at its new share of the jitter; the edit holds from the next one on.
        if due_us is not None:
            timer.next_fire_at = from_microseconds(due_us) + spec.offset
        return
    timer.next_fire_at = _first_of_the_edited(timer, spec, now if anew else _floor(now, due_us)) + spec.offset
    wake_if_soon([timer.next_fire_at], now)
    if is_over:
        timer.state = Timer.State.ACTIVE
        timer.fire_count = 0
        if not Waiting.objects.filter(timer_id=timer.id, state=Waiting.State.QUEUED).exists():
            timer.open_execution = None


def _missed(timer: Timer) -> Missed | None:
    """The instants that have come and are not fired: with another rule for the timer they never will be."""
    now = _now_of(timer)
    if timer.state != Timer.State.ACTIVE or timer.next_fire_at is None or timer.next_fire_at > now:
        return None
    due, until = timer.next_fire_at - timer.offset, now - timer.offset
    try:
        return schedule_of(timer).missed(due, until if timer.end_at is None else min(until, timer.end_at))
    except SpecError:
        return Missed(due, 1)


def _floor(now: datetime, due_us: int | None) -> datetime:
    """Where the next instant is looked for: one that has passed may still be to come by its share of the jitter."""
    return now if due_us is None else min(now, from_microseconds(due_us) - _MICROSECOND)


def _first_of_the_edited(timer: Timer, spec: TimerSpec, not_before: datetime) -> datetime:
    """The timer's next nominal instant; what was fired (it may have been ahead) or left out does not come again."""
    schedule = schedule_of(timer)
    if timer.last_fire_at is None:
        first = spec.first_fire(not_before, schedule)
    else:
        beyond = timer.last_fire_at + _MICROSECOND
        first = max(spec.first_fire(max(not_before, beyond), schedule), beyond)
    while is_done(timer.id, first):
        first = max(spec.first_fire(first + _MICROSECOND, schedule), first + _MICROSECOND)
    return first


def _exclusions(timer: Timer) -> tuple[tuple[str, ...], str]:
    """Which calendars hold for the timer, and how."""
    try:
        policies = timer.policies()
    except SpecError:
        return (), ""
    return policies.exclusion_calendars, policies.on_excluded


def _now_of(timer: Timer) -> datetime:
    """The present instant of the timer's group."""
    return GroupClock.of(timer.group).moment(clock.now())


def record_skip(timer: Timer, at: datetime, reason: str, beside: int = 0) -> None:
    """The final row of an occurrence that a person leaves out, and of so many before it."""
    at_us = to_microseconds(at)
    skip = ledger.Skip(execution_id(at_us, timer.id), timer.group_id, timer.id, timer.name, at_us, reason, beside)
    ledger.write_skips([skip], to_microseconds(_now_of(timer)))


def lock_timer(group: str, name: str) -> Timer:
    """The timer, its row locked; raises TimerNotFound."""
    timer = Timer.objects.named(group, name).select_related("group").select_for_update(of=("self",)).first()
    if timer is None:
        raise TimerNotFound(f"there is no timer {name!r} in group {group!r}")
    return timer


def _is_alive(timer: Timer) -> bool:
    """A finished timer whose executions are not: one-shots are finished from the moment they fire."""
    unfailed = Waiting.objects.filter(timer_id=timer.id).exclude(state=Waiting.State.FAILED)
    return timer.state == Timer.State.FINISHED and (unfailed.exists() or bool(claimed_executions(timer)))


def _set_state(timer: Timer, state: Timer.State, reason: str, actor: str) -> Timer:
    timer.state, timer.state_reason, timer.state_changed_by = state, reason, actor
    timer.state_changed_at = clock.now()
    return saved(timer, actor, _STATE)


def saved(timer: Timer, actor: str, columns: tuple[str, ...]) -> Timer:
    """Write some columns: what was not asked for stays untouched, above all a payload that Python cannot read."""
    timer.version += 1
    timer.updated_at, timer.updated_by = clock.now(), actor
    timer.save(update_fields=[*columns, "version", "updated_at", "updated_by"])
    return timer


def _refuse_unreadable(timer: Timer, given: set[str]) -> None:
    for column in ("payload", "schedule", "action", "overrides"):
        value = getattr(timer, column)
        if isinstance(value, Unreadable) and column not in given:
            raise SpecError(column, f"cannot be read as it is stored ({value.reason}); give a new one")
