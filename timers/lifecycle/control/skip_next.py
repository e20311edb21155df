"""Leave a timer's next fire out, on demand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from timers.exceptions import NotAllowedNow
from timers.lifecycle.control.audit import audited
from timers.lifecycle.control.call_back import call_back_fires
from timers.lifecycle.control.change import lock_timer, now_of, record_skip, saved
from timers.lifecycle.delete_finished import delete_finished
from timers.lifecycle.wakeup import wake_if_soon
from timers.models import Timer
from timers.models.calendars import schedule_of
from timers.schedules import Schedule

MAX_EXCLUDED: Final = 20_000
"""Excluded instants before the next fire that are passed over in search of it."""


class LeftOut(tuple[datetime, datetime | None]):
    """The (nominal) instant that is left out, and the one at which the timer is due after it: a pair."""

    in_flight: Sequence[str] = ()
    """Executions of the timer that had begun, or whose holder did not answer in time."""


def skip_next_fire(group: str, name: str, *, reason: str = "", actor: str = "") -> LeftOut:
    """Leave the timer's next fire out, also when it is claimed and has not begun.

    Instants that an exclusion calendar leaves out anyway are none of its fires. Raises NotAllowedNow for a timer that
    has no next fire.
    """
    with audited("timer.skip_next", actor, group=group, name=name) as entry:
        timer = lock_timer(group, name)
        in_flight = call_back_fires(timer)
        entry.watch(timer)
        if timer.state not in (Timer.State.ACTIVE, Timer.State.PAUSED) or timer.next_fire_at is None:
            raise NotAllowedNow(f"timer {name!r} has no next fire to skip: it is {timer.state}")
        schedule = schedule_of(timer)
        skipped = _next_to_run(timer, schedule, timer.next_fire_at - timer.offset)
        following = schedule.next_after(skipped)
        if following is not None and timer.end_at is not None and following > timer.end_at:
            following = None
        record_skip(timer, skipped, reason or (f"skipped by {actor}" if actor else "skipped on demand"))
        timer.next_fire_at = None if following is None else following + timer.offset
        if timer.next_fire_at is None:
            timer.state = Timer.State.FINISHED
        else:
            wake_if_soon([timer.next_fire_at], now_of(timer))
        saved(timer, actor, ("state", "next_fire_at"))
        entry.told(skipped=skipped, **({"reason": reason} if reason else {}))
        delete_finished([timer.id])
    left_out = LeftOut((skipped, timer.next_fire_at))
    left_out.in_flight = in_flight
    return left_out


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
