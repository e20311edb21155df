"""Skip a timer's next fire on demand.

Which fire that is, and what comes after it, is computed before the row is locked: with exclusion calendars this can
take several hundred milliseconds. Under the lock it is only checked that the timer is unchanged since it was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from timers.control.audit import audited
from timers.control.call_back import call_back_fires
from timers.control.change import now_of, record_skip, saved
from timers.control.find_timer import lock_timer, read_timer
from timers.control.limits import Limits, within_limits
from timers.engine.delete_finished import delete_finished
from timers.engine.wakeup import wake_if_soon
from timers.exceptions import NotAllowedNow
from timers.models import Timer
from timers.models.calendars import schedule_of
from timers.schedules import Missed, Schedule

_MICROSECOND: Final = timedelta(microseconds=1)


class LeftOut(tuple[datetime, datetime | None]):
    """The skipped (nominal) instant and the next one at which the timer is due: a pair."""

    in_flight: Sequence[str] = ()
    """Executions of the timer that had begun, or whose holder did not answer in time."""


def skip_next_fire(group: str, name: str, *, reason: str = "", actor: str = "") -> LeftOut:
    """Skip the timer's next fire, even if it is claimed but has not begun.

    Instants that an exclusion calendar excludes do not count as fires.

    Args:
        group: name of the group.
        name: name of the timer.
        reason: why, for the record.
        actor: who requests it; empty: the current actor.

    Returns:
        The skipped instant, and the one at which the timer is due next.

    Raises:
        NotAllowedNow: the timer has no next fire.
        TimerNotFound: there is no such timer.
    """
    return within_limits(lambda limits: _skip_next(group, name, reason, actor, limits))


def _skip_next(group: str, name: str, reason: str, actor: str, limits: Limits) -> LeftOut:
    read = read_timer(group, name)
    skip: _Skip | None = None
    with suppress(NotAllowedNow):
        skip = _compute(read, schedule_of(read))
    with audited("timer.skip_next", actor, group=group, name=name) as entry:
        timer = lock_timer(group, name)
        in_flight = call_back_fires(timer)
        entry.watch(timer)
        if skip is None or not _is_as_read(timer, read):  # changed meanwhile, or claimed ahead
            skip = _compute(timer, limits.of(schedule_of(timer)))
        if skip.excluded is not None:
            record_skip(timer, skip.excluded.latest, skip.excluded_because, beside=skip.excluded.count - 1)
        record_skip(timer, skip.instant, reason or (f"skipped by {actor}" if actor else "skipped on demand"))
        if skip.following is None:
            timer.set_finished()
        else:
            timer.next_fire_at = skip.following + timer.offset
            wake_if_soon([timer.next_fire_at], now_of(timer))
        saved(timer, actor, ("state", "state_reason", "paused_until", "next_fire_at"))
        entry.told(skipped=skip.instant, **({"reason": reason} if reason else {}))
        delete_finished([timer.id])
    left_out = LeftOut((skip.instant, timer.next_fire_at))
    left_out.in_flight = in_flight
    return left_out


@dataclass(frozen=True, slots=True)
class _Skip:
    """The instant to skip."""

    instant: datetime
    following: datetime | None
    excluded: Missed | None = None
    """Excluded instants before it; one row records them all."""
    excluded_because: str = ""


def _compute(timer: Timer, schedule: Schedule) -> _Skip:
    if timer.state not in (Timer.State.ACTIVE, Timer.State.PAUSED) or timer.next_fire_at is None:
        raise NotAllowedNow(f"timer {timer.name!r} has no next fire to skip: it is {timer.state}")
    first = timer.next_fire_at - timer.offset
    instant = _next_to_run(timer, schedule, first)
    following = schedule.next_after(instant)
    if following is not None and timer.end_at is not None and following > timer.end_at:
        following = None
    excluded = schedule.excluded(first, instant - _MICROSECOND) if instant > first else None
    because = "" if excluded is None else schedule.reason(excluded.latest) or "excluded"
    return _Skip(instant, following, excluded, because)


def _is_as_read(timer: Timer, read: Timer) -> bool:
    """Return whether a locked timer, and its group, are unchanged since they were read without a lock."""
    return (timer.id, timer.version, timer.state, timer.next_fire_at, timer.last_fire_at, timer.group.version) == (
        read.id, read.version, read.state, read.next_fire_at, read.last_fire_at, read.group.version,
    )  # fmt: skip


def _next_to_run(timer: Timer, schedule: Schedule, first: datetime) -> datetime:
    """Return the first instant from `first` on that no calendar excludes; excluded ones are skipped block by block."""
    why = schedule.reason(first)
    if why is None:
        return first
    found = schedule.to_run(first)
    instant = found.instant
    if instant is not None and (timer.end_at is None or instant <= timer.end_at):
        return instant
    if instant is None and found.excluded_until is not None:
        until = f"its exclusion calendars exclude every instant before {found.excluded_until.isoformat()}"
    else:
        until = "its exclusion calendars exclude every instant that it has left"
    raise NotAllowedNow(f"timer {timer.name!r} has no next fire to skip: {until} (the first one is {why})")
