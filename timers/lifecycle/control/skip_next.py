"""Leave a timer's next fire out, on demand.

Which fire that is, and what comes after it, is computed before the row is locked: with exclusion calendars this can
take some milliseconds. Under the lock it is only checked that the timer is still as it was read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from timers.exceptions import NotAllowedNow, StaleVersion
from timers.lifecycle.control.audit import audited
from timers.lifecycle.control.change import is_as_read, lock_timer, read_timer, record_skip, saved
from timers.lifecycle.delete_finished import delete_finished
from timers.models import Timer
from timers.models.calendars import schedule_of
from timers.schedules import Missed, Schedule
from timers.schedules.excluding import Excluding

_ATTEMPTS: Final = 10
"""A timer that fires every second changes as often; what is computed takes some milliseconds."""
_MICROSECOND: Final = timedelta(microseconds=1)


def skip_next_fire(group: str, name: str, *, reason: str = "", actor: str = "") -> tuple[datetime, datetime | None]:
    """Leave the timer's next fire out; returns its (nominal) instant and the one at which the timer is due after it.

    Instants that an exclusion calendar leaves out anyway are none of its fires. Raises NotAllowedNow for a timer that
    has no next fire, or whose next fire is claimed already: cancel that execution instead. Raises StaleVersion when
    the timer changes all the time.
    """
    for _ in range(_ATTEMPTS):
        read = read_timer(group, name)
        skip = _compute(read)
        with audited("timer.skip_next", actor, group=group, name=name) as entry:
            timer = entry.watch(lock_timer(group, name))
            if not is_as_read(timer, read):
                entry.nothing()
                continue
            if skip.excluded is not None:
                record_skip(timer, skip.excluded.latest, skip.excluded_because, beside=skip.excluded.count - 1)
            record_skip(timer, skip.instant, reason or (f"skipped by {actor}" if actor else "skipped on demand"))
            timer.next_fire_at = None if skip.following is None else skip.following + timer.offset
            if skip.following is None:
                timer.state = Timer.State.FINISHED
            saved(timer, actor, ("state", "next_fire_at"))
            entry.told(skipped=skip.instant, **({"reason": reason} if reason else {}))
            delete_finished([timer.id])
        return skip.instant, timer.next_fire_at
    raise StaleVersion(f"timer {name!r} changed while its next fire was computed; repeat the request")


@dataclass(frozen=True, slots=True)
class _Skip:
    """What is left out."""

    instant: datetime
    following: datetime | None
    excluded: Missed | None = None
    """Instants before it that calendars exclude; they get one row for all."""
    excluded_because: str = ""


def _compute(timer: Timer) -> _Skip:
    if timer.state not in (Timer.State.ACTIVE, Timer.State.PAUSED) or timer.next_fire_at is None:
        raise NotAllowedNow(f"timer {timer.name!r} has no next fire to skip: it is {timer.state}")
    schedule = schedule_of(timer)
    first = timer.next_fire_at - timer.offset
    instant = _next_to_run(timer, schedule, first)
    following = schedule.next_after(instant)
    if following is not None and timer.end_at is not None and following > timer.end_at:
        following = None
    excluded = schedule.excluded(first, instant - _MICROSECOND) if instant > first else None
    because = "" if excluded is None else schedule.reason(excluded.latest) or "excluded"
    return _Skip(instant, following, excluded, because)


def _next_to_run(timer: Timer, schedule: Schedule, first: datetime) -> datetime:
    """The first instant from `first` on that no calendar excludes; what they exclude is passed over block by block."""
    why = schedule.reason(first)
    if why is None:
        return first
    found = schedule.to_run(first) if isinstance(schedule, Excluding) else None
    instant = None if found is None else found.instant
    if instant is not None and (timer.end_at is None or instant <= timer.end_at):
        return instant
    if instant is None and found is not None and found.excluded_until is not None:
        until = f"its exclusion calendars exclude every instant before {found.excluded_until.isoformat()}"
    else:
        until = "its exclusion calendars exclude every instant that it has left"
    raise NotAllowedNow(f"timer {timer.name!r} has no next fire to skip: {until} (the first one is {why})")
