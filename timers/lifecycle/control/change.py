"""Change a timer: edit, pause, resume, cancel, run now. Each locks the timer's row, as a fire does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from random import getrandbits
from typing import Any, Final

from django.db import connection, models, transaction

from timers import clock
from timers.exceptions import NotAllowedNow, SpecError, StaleVersion, TimerNotFound
from timers.execution_id import execution_id
from timers.lifecycle import ledger
from timers.lifecycle.control.executions import cancel_ready
from timers.lifecycle.control.spec import TimerSpec, check_action_known
from timers.lifecycle.wakeup import revoke, wake_if_soon
from timers.models import Timer, Waiting
from timers.models.fields import ExactJSONField
from timers.payload import Unreadable, encode
from timers.schedules import Schedule
from timers.schedules import parse as parse_schedule
from timers.schedules.instant import to_microseconds


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The answer to a cancel."""

    timer: Timer
    in_flight: list[str]
    """Executions that were claimed already: told to stop if they have not started, but they may run."""
    cancelled: int
    """Executions that waited for another try and will not get it."""


KEEP: Any = object()
"""Marks an argument that was not given: the timer keeps what it has."""


_STATE: Final = (
    "state", "state_reason", "state_changed_by", "state_changed_at", "next_fire_at", "open_execution",
)  # fmt: skip
_EDITED: Final = (
    "schedule_kind", "schedule", "time_zone", "start_at", "end_at", "max_fires", "until_committed", "description",
    "tags", "payload", "action", "overrides", "state", "next_fire_at", "fire_count", "open_execution",
)  # fmt: skip


def update_timer(
    group: str,
    name: str,
    *,
    actor: str = "",
    version: int | None = None,
    schedule: Callable[[], Schedule] | None = None,
    time_zone: str | None = None,
    **fields: Any,
) -> Timer:
    """Replace the given fields of a timer; the instants it fires only rise, whatever the edit.

    `version`: refuse (StaleVersion) when someone changed the timer since it was read. Raises SpecError for what makes
    no sense, NotAllowedNow for a cancelled timer. A finished timer with a new schedule becomes active again.
    """
    with transaction.atomic():
        timer = _lock(group, name)
        if version is not None and timer.version != version:
            raise StaleVersion(f"the timer is at version {timer.version}, not {version}; read it again")
        if timer.state == Timer.State.CANCELLED:
            raise NotAllowedNow(f"timer {name!r} is cancelled; schedule it anew")
        current: dict[str, Any] = {
            "payload": timer.payload,
            "start_at": timer.start_at,
            "end_at": timer.end_at,
            "max_fires": timer.max_fires,
            "until_committed": timer.until_committed,
            "action": timer.action,
            "overrides": timer.overrides,
            "tags": timer.tags,
            "description": timer.description,
        }
        if "handler" in fields:
            current.pop("action")
        _refuse_unreadable(timer, given={*fields, *(["schedule"] if schedule else [])})
        zone_name = time_zone or timer.time_zone
        spec = TimerSpec.parse(
            group=group,
            name=name,
            time_zone=zone_name,
            schedule=schedule or (lambda: parse_schedule(timer.schedule_kind, timer.schedule, zone_name)),
            **{**current, **fields},
        )
        check_action_known(spec.action, timer.group)
        _write(
            timer,
            spec,
            moves=schedule is not None or time_zone is not None or bool({"start_at", "end_at"} & set(fields)),
            anew=schedule is not None,
        )
        return _saved(timer, actor, _EDITED)


def pause_timer(group: str, name: str, *, reason: str = "", actor: str = "") -> Timer:
    """Fire no more until resumed. An execution that is claimed or waits for a retry goes on."""
    with transaction.atomic():
        timer = _lock(group, name)
        if timer.state == Timer.State.PAUSED:
            return timer
        if timer.state != Timer.State.ACTIVE:
            raise NotAllowedNow(f"timer {name!r} is {timer.state}; only an active one can be paused")
        return _set_state(timer, Timer.State.PAUSED, reason, actor)


def resume_timer(group: str, name: str, *, actor: str = "") -> Timer:
    """Fire again; what was missed meanwhile follows the misfire policy."""
    with transaction.atomic():
        timer = _lock(group, name)
        if timer.state == Timer.State.ACTIVE:
            return timer
        if timer.state != Timer.State.PAUSED:
            raise NotAllowedNow(f"timer {name!r} is {timer.state}; only a paused one can be resumed")
        if timer.next_fire_at is not None:
            wake_if_soon([timer.next_fire_at], clock.now())
        return _set_state(timer, Timer.State.ACTIVE, "", actor)


def cancel_timer(group: str, name: str, *, reason: str = "", actor: str = "") -> Cancelled:
    """Never fire again, and give up retries that wait. Failed executions stay for a person.

    What is claimed already cannot be called back for certain: it is told to stop if it has not started, and named in
    the answer's `in_flight`.
    """
    with transaction.atomic():
        timer = _lock(group, name)
        if timer.state in (Timer.State.FINISHED, Timer.State.CANCELLED) and not _is_alive(timer):
            raise NotAllowedNow(f"timer {name!r} is {timer.state} already")
        timer.next_fire_at = timer.open_execution = None
        _set_state(timer, Timer.State.CANCELLED, reason, actor)
        cancelled = cancel_ready(timer.id, reason=reason or "the timer was cancelled")
        in_flight = claimed_executions(timer)
        revoke(in_flight)
    return Cancelled(timer, in_flight, cancelled)


def fire_timer(group: str, name: str, *, payload: Any = KEEP, delay: float = 0, actor: str = "") -> str:
    """Run the timer's action once, now or after `delay` seconds, beside its schedule; returns the execution's id.

    `payload`: another one for this run. Works in every state of the timer but cancelled.
    """
    if isinstance(delay, bool) or not isinstance(delay, (int, float)) or not 0 <= delay <= 366 * 86_400:
        raise SpecError("delay", "must be from 0 seconds to 366 days", given=delay)
    text = None if payload is KEEP else encode(payload)
    with transaction.atomic():
        timer = _lock(group, name)
        if timer.state == Timer.State.CANCELLED:
            raise NotAllowedNow(f"timer {name!r} is cancelled")
        check_action_known(None if timer.action is None else json.dumps(timer.action), timer.group)
        now = clock.now()
        at = now + timedelta(seconds=delay)
        row = Waiting(
            id=execution_id(to_microseconds(at), timer.id, "manual", getrandbits(8)),
            group_id=timer.group_id,
            timer_id=timer.id,
            name=timer.name,
            state=Waiting.State.READY,
            available_at=at,
            origin="manual",
            reason=f"run now by {actor}" if actor else "run now",
            created_at=now,
            changed_at=now,
        )
        if text is not None:
            # A JSON null is a payload too; an empty column would mean the timer's.
            row.payload = models.Value(json.loads(text), ExactJSONField())
        row.save(force_insert=True)
        wake_if_soon([at], now)
    return str(row.id)


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


def _write(timer: Timer, spec: TimerSpec, *, moves: bool, anew: bool) -> None:
    timer.schedule_kind, timer.schedule, timer.time_zone = spec.schedule.kind, spec.schedule.to_spec(), spec.time_zone
    timer.start_at, timer.end_at, timer.max_fires = spec.start_at, spec.end_at, spec.max_fires
    timer.until_committed, timer.description, timer.tags = spec.until_committed, spec.description, list(spec.tags)
    timer.payload = None if spec.payload is None else json.loads(spec.payload)
    timer.action = None if spec.action is None else json.loads(spec.action)
    timer.overrides = None if spec.overrides is None else json.loads(spec.overrides)
    if moves:
        _move(timer, spec, anew=anew)


def _move(timer: Timer, spec: TimerSpec, *, anew: bool) -> None:
    """Set the next instant after an edit; `anew`: the rule itself was replaced, not only its bounds or zone."""
    now = clock.now()
    is_over = timer.state == Timer.State.FINISHED
    if is_over and not anew:
        return
    if not is_over and timer.next_fire_at is None and timer.open_execution is not None:
        # The end of its execution brings the next instant, by the rule as it is then.
        return
    if timer.next_fire_at is not None and timer.next_fire_at <= now and not anew:
        # Due already: it fires as it was; the edit holds from the next one on.
        return
    if timer.state == Timer.State.ACTIVE and timer.next_fire_at is not None and timer.next_fire_at <= now:
        due_us = to_microseconds(timer.next_fire_at)
        skip = ledger.Skip(execution_id(due_us, timer.id), timer.group_id, timer.id, timer.name, due_us, "edited", 0)
        ledger.write_skips([skip], to_microseconds(now))
    if timer.last_fire_at is None:
        first = spec.first_fire(now)
    else:
        # It may have been fired ahead of its instant.
        beyond = timer.last_fire_at + timedelta(microseconds=1)
        first = max(spec.first_fire(max(now, beyond)), beyond)
    timer.next_fire_at = first
    wake_if_soon([first], now)
    if is_over:
        timer.state = Timer.State.ACTIVE
        timer.fire_count = 0
        timer.open_execution = None


def _lock(group: str, name: str) -> Timer:
    timer = Timer.objects.named(group, name).select_related("group").select_for_update(of=("self",)).first()
    if timer is None:
        raise TimerNotFound(f"there is no timer {name!r} in group {group!r}")
    return timer


def _is_alive(timer: Timer) -> bool:
    """A finished timer whose executions are not: one-shots are finished from the moment they fire."""
    ready = Waiting.objects.filter(timer_id=timer.id, state=Waiting.State.READY).exists()
    return timer.state == Timer.State.FINISHED and (ready or bool(claimed_executions(timer)))


def _set_state(timer: Timer, state: Timer.State, reason: str, actor: str) -> Timer:
    timer.state, timer.state_reason, timer.state_changed_by = state, reason, actor
    timer.state_changed_at = clock.now()
    return _saved(timer, actor, _STATE)


def _saved(timer: Timer, actor: str, columns: tuple[str, ...]) -> Timer:
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
