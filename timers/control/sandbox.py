"""Sandboxes: groups whose clock is frozen, moved forward and let run, while the same engine fires their timers.

A sandbox's clock only goes forward: an instant that has been fired is never fired again. Its timers are found by
polling, so they start up to one poll late; of what happens at one instant, the order is the engine's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from timers import clock
from timers.control.audit import audited
from timers.control.groups import create_group
from timers.engine.group_clock import GroupClock
from timers.engine.wakeup import wake_if_soon
from timers.exceptions import InvalidRequest, TimerNotFound
from timers.models import TimerGroup
from timers.schedules.duration import parse_duration
from timers.schedules.instant import END, parse_instant, to_microseconds

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Advance:
    """How far an advance has come."""

    now: datetime
    """The group's clock."""
    target: datetime
    busy: int
    """Timers and executions that are due by the group's clock or running: through their end it does not move."""

    @property
    def arrived(self) -> bool:
        """The clock is at the target, and everything up to there has been done."""
        return self.now >= self.target and not self.busy


def create_sandbox(name: str, at: datetime | str | None = None, *, actor: str = "", **fields: Any) -> TimerGroup:
    """Create a group with a clock of its own, frozen at an instant (past or future), or at the present one.

    `fields`: as of create_group. A group is a sandbox from its beginning or never.
    """
    start = None if at is None else parse_instant(at, "at")
    with audited("group.create", actor, group=name, name=name) as entry:
        group = create_group(name, actor=actor, **fields)
        group.sandbox, group.clock_frozen_at = True, start or clock.now()
        group.save(update_fields=["sandbox", "clock_frozen_at"])
        entry.made(group)
    return group


def freeze_clock(name: str, at: datetime | str | None = None, *, actor: str = "") -> TimerGroup:
    """Stop a sandbox's clock where it is, or at a later instant.

    What comes due between its present instant and `at` has then been missed, and follows the misfire policy. Raises
    InvalidRequest for an instant that lies behind the clock and for a group that is no sandbox, TimerNotFound for none.
    """
    with audited("group.freeze_clock", actor, group=name, name=name) as entry:
        group, real, now = _lock(name)
        return _set(entry.watch(group), real, _forward(now, at, "at"), frozen=True)


def run_clock(name: str, *, actor: str = "") -> TimerGroup:
    """Let a sandbox's clock go on from where it stands, as fast as the database's."""
    with audited("group.run_clock", actor, group=name, name=name) as entry:
        group, real, now = _lock(name)
        return _set(entry.watch(group), real, now, frozen=False)


def advance_clock(
    name: str,
    by: float | str | timedelta | None = None,
    *,
    to: datetime | str | None = None,
    jump: bool = False,
    actor: str = "",
) -> Advance:
    """Move a sandbox's clock forward `by` a duration or `to` an instant (exactly one of the two).

    The clock goes through the fires on its way: one call moves it to the next instant at which something is due, or to
    the target when there is none before; while something is due or running it does not move at all. So the caller
    repeats the call, with the answer's `target` as `to`, until the answer has `arrived`; workers fire meanwhile, each
    occurrence at its own instant.

    `jump`: go to the target at once. What comes due on the way is missed, as after a downtime: the group's misfire
    policy decides. Raises as freeze_clock does.
    """
    if (by is None) == (to is None):
        raise InvalidRequest("by", "give either by, a duration, or to, an instant")
    with audited("group.advance_clock", actor, group=name, name=name) as entry:
        group, real, now = _lock(name)
        entry.watch(group)
        target = _forward(now, to if by is None else _after(now, by), "to" if by is None else "by")
        coming = _coming(group, now)
        if jump or not coming.busy:
            reached = target if jump or coming.next_at is None else min(target, coming.next_at)
            if reached > now:
                _set(group, real, reached, frozen=group.clock_frozen_at is not None)
                entry.changed("clock", now, reached)
                now, coming = reached, _coming(group, reached)
        if not entry.has_changes:
            entry.nothing()
        return Advance(now, target, coming.busy)


def _lock(name: str) -> tuple[TimerGroup, datetime, datetime]:
    """The sandbox, locked, with the database's present instant and its own."""
    group = TimerGroup.objects.select_for_update(no_key=True).filter(name=name).first()
    if group is None:
        raise TimerNotFound(f"there is no group {name!r}")
    if not group.sandbox:
        raise InvalidRequest("name", "is no sandbox, its clock is the database's; create_sandbox makes one", given=name)
    real = clock.now()
    return group, real, GroupClock.of(group).moment(real)


def _set(group: TimerGroup, real: datetime, now: datetime, *, frozen: bool) -> TimerGroup:
    """Set the clock to an instant of the group when the database's is `real`; workers look at once."""
    group.clock_frozen_at = now if frozen else None
    group.clock_ahead_us = to_microseconds(now) - to_microseconds(real)
    group.version += 1
    group.updated_at = real
    group.save(update_fields=["clock_frozen_at", "clock_ahead_us", "version", "updated_at"])
    wake_if_soon([real], real)
    return group


def _after(now: datetime, by: float | str | timedelta) -> datetime:
    microseconds = parse_duration(by, "by")
    if microseconds >= (END - now) // _MICROSECOND:
        raise InvalidRequest("by", f"leads beyond the year {END.year - 1}", given=str(by))
    return now + timedelta(microseconds=microseconds)


def _forward(now: datetime, moment: datetime | str | None, field: str) -> datetime:
    at = now if moment is None else parse_instant(moment, field)
    if at < now:
        raise InvalidRequest(
            field, f"lies behind the group's clock ({now.isoformat()}), which only goes forward", given=at.isoformat()
        )
    return at


@dataclass(frozen=True, slots=True)
class _Coming:
    """What is to be done at a group's present instant, and when there is something again."""

    busy: int
    next_at: datetime | None


# One statement, so one snapshot: what a worker is just taking up is seen where it was or where it is.
_COMING = """
SELECT (SELECT count(*) FROM timers_timer t
        WHERE t.group_id = %(group)s AND t.state = 'active' AND t.next_fire_at <= %(now)s),
       (SELECT count(*) FROM timers_waiting w
        WHERE w.group_id = %(group)s AND w.state = 'ready' AND w.available_at <= %(now)s),
       (SELECT count(*) FROM timers_timer t
        WHERE t.group_id = %(group)s AND t.state = 'paused' AND t.paused_until <= %(now)s),
       (SELECT count(*) FROM timers_chain_order o WHERE o.group_id = %(group)s AND o.deadline_at <= %(now)s),
       (SELECT COALESCE(sum(cardinality(c.executions)), 0) FROM timers_claim c WHERE c.group_id = %(group)s),
       (SELECT min(at) FROM (
            SELECT t.next_fire_at AS at FROM timers_timer t
            WHERE t.group_id = %(group)s AND t.state = 'active' AND t.next_fire_at > %(now)s
            UNION ALL
            SELECT w.available_at FROM timers_waiting w
            WHERE w.group_id = %(group)s AND w.state = 'ready' AND w.available_at > %(now)s
            UNION ALL
            SELECT o.deadline_at FROM timers_chain_order o WHERE o.group_id = %(group)s AND o.deadline_at > %(now)s
            UNION ALL
            SELECT t.paused_until FROM timers_timer t
            WHERE t.group_id = %(group)s AND t.state = 'paused' AND t.paused_until > %(now)s) x)
"""


def _coming(group: TimerGroup, now: datetime) -> _Coming:
    with connection.cursor() as cursor:
        cursor.execute(_COMING, {"group": group.id, "now": now})
        timers, ready, paused, late, claimed, next_at = cursor.fetchone()
    if group.state == TimerGroup.State.ACTIVE:
        return _Coming(timers + ready + paused + late + int(claimed), next_at)
    # Nothing is fired before the pause is over: its end is the next instant, if it ends by itself.
    is_over = group.paused_until is not None and group.paused_until <= now
    return _Coming(int(claimed) + is_over, None if is_over else group.paused_until)
