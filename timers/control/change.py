"""Change a timer: edit, pause, resume, cancel, run now. Each locks the timer's row, as a fire does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from timers import clock
from timers.control import quotas
from timers.control.action_checks import check_action_of_timer
from timers.control.audit import audited
from timers.control.call_back import call_back_fires
from timers.control.call_back_to_cancel import cancel_claimed
from timers.control.difference import is_as_defined
from timers.control.executions import cancel_unfailed
from timers.control.find_timer import lock_timer
from timers.control.groups import note_priorities
from timers.control.key_settings import by_present_keys, hold_key_settings, key_setting
from timers.control.limits import Limits, within_limits
from timers.control.next_instant import Before, Next, first_beyond, next_after_edit, rule_of
from timers.control.pausing import check_until
from timers.control.request import OPTIONS
from timers.control.run import make_run, overlap_of
from timers.control.spec import TimerSpec, check_priority
from timers.domain.errors import ErrorCollector
from timers.domain.execution_id import execution_id
from timers.domain.payload import Unreadable, encode
from timers.domain.policies import check_seconds
from timers.engine import ledger
from timers.engine.delete_finished import delete_finished
from timers.engine.group_clock import GroupClock
from timers.engine.last_run import wait_for_last_run
from timers.engine.orders.cancelling import has_orders
from timers.engine.recompute import is_done
from timers.engine.waiting_keys import follow_keys
from timers.engine.wakeup import wake_if_soon
from timers.exceptions import InvalidRequest, NotAllowedNow, StaleVersion
from timers.models import Timer, TimerGroup, Waiting
from timers.models.calendars import schedule_of
from timers.models.claimed import claimed_executions
from timers.schedules import Schedule, parse_stored
from timers.schedules.duration import Duration
from timers.schedules.instant import to_microseconds


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The result of a cancel."""

    timer: Timer
    in_flight: list[str]
    """Executions that had begun, or whose holder did not answer in time: they are requested to end, but may still run.
    """
    cancelled: int
    """Number of executions that had not begun, or waited for another attempt, and will not run."""


KEEP: Any = object()
"""Marks an argument that was not given: the timer keeps its value."""
_FOR_PEOPLE: Final = frozenset({"description"})
"""Fields that do not affect claimed executions."""


_STATE: Final = (
    "state", "state_reason", "state_changed_by", "state_changed_at", "paused_until", "next_fire_at", "open_execution",
    "failures_in_a_row",
)  # fmt: skip
_KEPT: Final = OPTIONS - {"handler", "time_zone"}
"""Fields that an edit leaves unchanged if it does not name them."""
_EDITED: Final = (
    "schedule_kind", "schedule", "time_zone", "start_at", "end_at", "max_fires", "jitter", "priority",
    "until_committed", "description", "tags", "payload", "action", "overrides", "state", "state_reason", "paused_until",
    "next_fire_at", "fire_count", "open_execution", "concurrency_key", "limit_key",
)  # fmt: skip


def update_timer(
    group: str,
    name: str,
    *,
    actor: str = "",
    version: int | None = None,
    schedule: Callable[[], Schedule] | None = None,
    time_zone: Any = KEEP,
    mistakes: ErrorCollector | None = None,
    restarts: bool = False,
    **fields: Any,
) -> Timer:
    """Replace the given fields of a timer. Other fields, and the next instant, are unchanged.

    The instants at which a timer fires only increase, whatever the edit. Fields given with their present values change
    nothing: no new version, no audit entry. Claimed executions that have not begun are called back, and fire by the new
    definition; the returned timer's `in_flight` lists those that have begun. A finished timer with a new schedule
    becomes active again.

    Args:
        version: raise StaleVersion if the timer was changed since this version was read; None: no check.
        schedule: makes the new schedule; None: the timer keeps its own.
        mistakes: errors found earlier; raised together with all others.
        restarts: continue from now, as a timer that was just created; earlier instants do not count as missed.

    Raises:
        InvalidRequest: a field is invalid.
        NotAllowedNow: the timer is cancelled.
    """
    if schedule is not None:
        schedule = _parsed(schedule)
        quotas.look_at_interval(group, schedule)
    return by_present_keys(
        lambda: within_limits(
            lambda limits: _update(group, name, limits, actor, version, schedule, time_zone, mistakes, restarts, fields)
        )
    )


def _update(
    group: str,
    name: str,
    limits: Limits,
    actor: str,
    version: int | None,
    schedule: Callable[[], Schedule] | None,
    time_zone: Any,
    mistakes: ErrorCollector | None,
    restarts: bool,
    fields: Mapping[str, Any],
) -> Timer:
    with audited("timer.update", actor, group=group, name=name) as entry:
        if "priority" in fields:
            # Before the timer is locked: a transaction that has locked a group may wait for its timers.
            _announce(group, fields["priority"])
        limited = quotas.hold_quotas([group]) if schedule is not None else {}
        timer = lock_timer(group, name)
        if version is not None and timer.version != version:
            raise StaleVersion(f"the timer is at version {timer.version}, not {version}; read it again")
        if timer.state == Timer.State.CANCELLED:
            raise NotAllowedNow(f"timer {name!r} is cancelled; schedule it again")
        if schedule is None and time_zone is KEEP and not fields:
            if mistakes is not None:
                mistakes.raise_if_any()
            entry.nothing()
            return timer
        current: dict[str, Any] = {field: getattr(timer, field) for field in _KEPT}
        if "handler" in fields:
            current.pop("action")
        _refuse_unreadable(timer, given={*fields, *(["schedule"] if schedule else [])})
        zone_name = timer.time_zone if time_zone is KEEP else time_zone
        spec = TimerSpec.parse(
            group=group,
            name=name,
            time_zone=zone_name,
            mistakes=mistakes,
            schedule=schedule or (lambda: parse_stored(timer.schedule_kind, timer.schedule, zone_name)),
            **{**current, **fields},
        )
        if not restarts and is_as_defined(timer, spec):
            entry.nothing()
            return timer
        check_action_of_timer(spec.action, timer.group)
        if "payload" in fields:
            quotas.check_payload(timer.group, spec.payload)
        if schedule is not None:
            quotas.check_interval(timer.group, spec.schedule, now_of(timer))
        if key_setting(timer.group) is not None:
            hold_key_settings(timer.group)
        if schedule is not None or time_zone is not KEEP or set(fields) - _FOR_PEOPLE:
            timer.in_flight = call_back_fires(timer, others_too=True)
        entry.watch(timer)
        was_over = timer.state == Timer.State.FINISHED
        before = Before.of(timer, limits)
        was_key = timer.limit_key
        spec.write_to(timer)
        _reschedule(timer, before, spec, restarts=restarts)
        if was_over and timer.state == Timer.State.ACTIVE:
            for held in limited.values():
                for refused in quotas.without_room(held, [name]).values():
                    raise refused
                quotas.count_in(held, 1)
        saved(timer, actor, _EDITED)
        if timer.limit_key != was_key:
            follow_keys([timer.id])
        if timer.state == Timer.State.FINISHED and not was_over:
            delete_finished([timer.id])
        return timer


def _parsed(make: Callable[[], Schedule]) -> Callable[[], Schedule]:
    """Call `make` now and return a callable with its result: a schedule is parsed before the timer's row is locked."""
    made: Schedule | None = None
    error: InvalidRequest | None = None
    try:
        made = make()
    except InvalidRequest as refused:
        error = refused

    def again() -> Schedule:
        if made is None:
            assert error is not None
            raise error
        return made

    return again


def _announce(group: str, priority: Any) -> None:
    row = TimerGroup.objects.filter(name=group).first()
    # An invalid priority is reported later, with all other errors.
    with suppress(InvalidRequest):
        if row is not None:
            note_priorities(row, {check_priority(priority)})


def pause_timer(
    group: str, name: str, *, until: datetime | str | None = None, reason: str = "", actor: str = ""
) -> Timer:
    """Stop firing until the timer is resumed: by a person, or automatically at `until`.

    A fire that is claimed but has not begun is undone: it is due again, and counts as missed when the timer is resumed.
    An execution that has begun, or waits for a retry, continues. The returned timer's `in_flight` lists the claimed
    executions. Pausing a paused timer replaces its `until`. Raise NotAllowedNow if the timer is finished or cancelled.
    """
    with audited("timer.pause", actor, group=group, name=name) as entry:
        timer = lock_timer(group, name)
        at = check_until(until, now_of(timer))
        if timer.state == Timer.State.PAUSED and timer.paused_until == at:
            entry.nothing()
            return timer
        timer.in_flight = call_back_fires(timer)
        entry.watch(timer)
        if timer.state not in (Timer.State.ACTIVE, Timer.State.PAUSED):
            raise NotAllowedNow(f"timer {name!r} is {timer.state}; only an active one can be paused")
        timer.paused_until = at
        return _set_state(timer, Timer.State.PAUSED, reason, actor)


def resume_timer(group: str, name: str, *, actor: str = "") -> Timer:
    """Resume firing. Missed fires follow the misfire policy, and the count of failures in a row starts at zero."""
    with audited("timer.resume", actor, group=group, name=name) as entry:
        timer = entry.watch(lock_timer(group, name))
        if timer.state == Timer.State.ACTIVE:
            entry.nothing()
            return timer
        if timer.state != Timer.State.PAUSED:
            raise NotAllowedNow(f"timer {name!r} is {timer.state}; only a paused one can be resumed")
        if timer.next_fire_at is not None:
            wake_if_soon([timer.next_fire_at], now_of(timer))
        timer.paused_until, timer.failures_in_a_row = None, 0
        return _set_state(timer, Timer.State.ACTIVE, "", actor)


def cancel_timer(group: str, name: str, *, reason: str = "", actor: str = "") -> Cancelled:
    """Stop firing for good, and cancel waiting retries. Failed executions are kept for a person to decide.

    Claimed executions that have not begun are cancelled at once. Those that have begun are requested to end, and listed
    in `in_flight`.
    """
    with audited("timer.cancel", actor, group=group, name=name) as entry:
        timer = entry.watch(lock_timer(group, name))
        if timer.state in (Timer.State.FINISHED, Timer.State.CANCELLED) and not _is_alive(timer):
            raise NotAllowedNow(f"timer {name!r} is {timer.state} already")
        timer.next_fire_at = timer.open_execution = timer.paused_until = None
        _set_state(timer, Timer.State.CANCELLED, reason, actor)
        why = reason or "the timer was cancelled"
        unbegun, in_flight = cancel_claimed(timer.id, timer.group_id, reason=why)
        cancelled = len(unbegun) + cancel_unfailed(timer.id, reason=why)
        entry.many(in_flight=in_flight)
        entry.told(cancelled_executions=cancelled)
    return Cancelled(timer, in_flight, cancelled)


def fire_timer(
    group: str,
    name: str,
    *,
    payload: Any = KEEP,
    delay: Duration = 0,
    overlap: str | None = None,
    actor: str = "",
) -> str:
    """Run the timer's action once, in addition to its schedule. Return the id of the execution.

    Args:
        payload: payload of this run; KEEP: the timer's.
        delay: seconds until the run.
        overlap: overlap policy of this run; None: the timer's. While an execution of the timer has not ended, `skip`
            rejects the run (NotAllowedNow), `queue` queues it, `replace` requests the other execution to end first, and
            `allow` runs both.

    Raises:
        NotAllowedNow: the timer is cancelled, or see `overlap`.
    """
    seconds = check_seconds("delay", delay)
    text = None if payload is KEEP else encode(payload)
    with audited("timer.fire", actor, group=group, name=name) as entry:
        timer = entry.watch(lock_timer(group, name))
        now = now_of(timer)
        reason = f"run now by {actor}" if actor else "run now"
        at = now + timedelta(seconds=seconds)
        execution = make_run(timer, "manual", at, now=now, payload=text, reason=reason, overlap=overlap)
        entry.told(
            execution=execution, delay=seconds,
            **({} if overlap is None else {"overlap": overlap}),
            **({} if text is None else {"payload": json.loads(text)}),
        )  # fmt: skip
        return execution


def _reschedule(timer: Timer, before: Before, spec: TimerSpec, *, restarts: bool) -> None:
    """Set the next instant, and with it the state, of a timer whose definition has been written."""
    now = now_of(timer)
    if timer.state == Timer.State.FINISHED:
        if restarts or before.rule != rule_of(timer):
            _begin_again(timer, spec, now)
        return
    if restarts and before.due is not None:
        following = Next(first_beyond(before.last, spec, schedule_of(timer), now), is_recomputed=True)
    else:
        following = next_after_edit(before, spec, schedule_of(timer), timer, now)
    if following.given_up is not None:
        record_skip(timer, following.given_up.latest, "edited", beside=following.given_up.count - 1)
    if following.due is None:
        return
    if timer.max_fires is not None and timer.fire_count >= timer.max_fires:
        # No fire is left: drop an instant that has passed; a future one would never fire.
        if following.given_up is None and before.due is not None and before.due <= now:
            missed = before.missed(now)
            record_skip(timer, missed.latest, "edited", beside=missed.count - 1)
        timer.set_finished()
        return
    due = following.due
    if following.is_recomputed:
        due = _not_done(timer, due, spec)
    timer.next_fire_at = due + spec.offset
    wake_if_soon([timer.next_fire_at], now)


def _begin_again(timer: Timer, spec: TimerSpec, now: datetime) -> None:
    """Make a finished timer active; its count of fires starts at zero."""
    due = first_beyond(timer.last_fire_at, spec, schedule_of(timer), now)
    timer.next_fire_at = _not_done(timer, due, spec) + spec.offset
    timer.state, timer.fire_count = Timer.State.ACTIVE, 0
    if overlap_of(timer, None) != "allow":
        wait_for_last_run(timer)
    wake_if_soon([timer.next_fire_at], now)


def _not_done(timer: Timer, due: datetime, spec: TimerSpec) -> datetime:
    """Return the nominal instant, or the first after it without a final row in the ledger (a person skipped those)."""
    schedule = schedule_of(timer)
    while is_done(timer.id, due):
        due = first_beyond(due, spec, schedule, due)
    return due


def now_of(timer: Timer) -> datetime:
    """Return the current time of the timer's group."""
    return GroupClock.of(timer.group).moment(clock.now())


def record_skip(timer: Timer, at: datetime, reason: str, beside: int = 0) -> None:
    """Write the final row of an occurrence that a person skipped; it also covers the `beside` occurrences before it."""
    at_us = to_microseconds(at)
    skip = ledger.Skip(execution_id(at_us, timer.id), timer.group_id, timer.id, timer.name, at_us, reason, beside)
    ledger.write_skips([skip], to_microseconds(now_of(timer)))


def _is_alive(timer: Timer) -> bool:
    """Return whether a finished timer has open executions: one-shots are finished from the moment they fire."""
    unfailed = Waiting.objects.filter(timer_id=timer.id).exclude(state=Waiting.State.FAILED).exists()
    return timer.state == Timer.State.FINISHED and (unfailed or bool(claimed_executions(timer)) or has_orders(timer.id))


def _set_state(timer: Timer, state: Timer.State, reason: str, actor: str) -> Timer:
    timer.state, timer.state_reason, timer.state_changed_by = state, reason, actor
    timer.state_changed_at = clock.now()
    return saved(timer, actor, _STATE)


def saved(timer: Timer, actor: str, columns: tuple[str, ...]) -> Timer:
    """Write only the given columns. Other columns stay untouched, above all a payload that Python cannot read."""
    timer.version += 1
    timer.updated_at, timer.updated_by = clock.now(), actor
    timer.save(update_fields=[*columns, "version", "updated_at", "updated_by"])
    return timer


def _refuse_unreadable(timer: Timer, given: set[str]) -> None:
    for column in ("payload", "schedule", "action", "overrides"):
        value = getattr(timer, column)
        if isinstance(value, Unreadable) and column not in given:
            raise InvalidRequest(column, f"cannot be read as it is stored ({value.reason}); give a new one")
