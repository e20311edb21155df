"""Leave a timer's next fire out, on demand."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from timers.exceptions import NotAllowedNow
from timers.lifecycle.control.audit import audited
from timers.lifecycle.control.change import lock_timer, record_skip, saved
from timers.lifecycle.delete_finished import delete_finished
from timers.models import Timer
from timers.models.calendars import schedule_of
from timers.schedules import Schedule

MAX_EXCLUDED: Final = 20_000
"""Excluded instants before the next fire that are passed over in search of it."""


def skip_next_fire(group: str, name: str, *, reason: str = "", actor: str = "") -> tuple[datetime, datetime | None]:
    """Leave the timer's next fire out; returns its (nominal) instant and the one at which the timer is due after it.

    Instants that an exclusion calendar leaves out anyway are none of its fires. Raises NotAllowedNow for a timer that
    has no next fire, or whose next fire is claimed already: cancel that execution instead.
    """
    with audited("timer.skip_next", actor, group=group, name=name) as entry:
        timer = entry.watch(lock_timer(group, name))
        if timer.state not in (Timer.State.ACTIVE, Timer.State.PAUSED) or timer.next_fire_at is None:
            raise NotAllowedNow(f"timer {name!r} has no next fire to skip: it is {timer.state}")
        schedule = schedule_of(timer)
        skipped = _next_to_run(timer, schedule, timer.next_fire_at - timer.offset)
        following = schedule.next_after(skipped)
        if following is not None and timer.end_at is not None and following > timer.end_at:
            following = None
        record_skip(timer, skipped, reason or (f"skipped by {actor}" if actor else "skipped on demand"))
        timer.next_fire_at = None if following is None else following + timer.offset
        if following is None:
            timer.state = Timer.State.FINISHED
        saved(timer, actor, ("state", "next_fire_at"))
        entry.told(skipped=skipped, **({"reason": reason} if reason else {}))
        delete_finished([timer.id])
    return skipped, timer.next_fire_at


def _next_to_run(timer: Timer, schedule: Schedule, first: datetime) -> datetime:
    """The first instant from `first` on that no calendar excludes; those before it get their row, one for all."""
    instant, passed = first, 0
    while (why := schedule.reason(instant)) is not None:
        following, passed = schedule.next_after(instant), passed + 1
        if following is None or passed > MAX_EXCLUDED or (timer.end_at is not None and following > timer.end_at):
            raise NotAllowedNow(f"timer {timer.name!r} has no next fire to skip: what follows is {why}")
        last, instant = instant, following
    if passed:
        record_skip(timer, last, schedule.reason(last) or "excluded", beside=passed - 1)
    return instant
