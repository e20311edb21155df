"""Sandboxes: groups with a clock that can be frozen, advanced and run, while the same engine fires their timers.

A sandbox's clock only moves forward: an instant that has fired never fires again. Its timers are found by polling, so
they start up to one poll late. The engine decides the order of events at the same instant.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from timers import clock
from timers.control.audit import audited
from timers.control.groups import create_group
from timers.database import connection
from timers.engine.group_clock import GroupClock
from timers.engine.wakeup import wake_if_soon
from timers.exceptions import InvalidRequest, TimerNotFound
from timers.models import TimerGroup
from timers.schedules.duration import parse_duration
from timers.schedules.instant import END, parse_instant, to_microseconds

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Advance:
    """The progress of an advance."""

    now: datetime
    """The group's clock."""
    target: datetime
    busy: int
    """Number of timers and executions that are due by the group's clock, or running; the clock waits for them."""

    @property
    def arrived(self) -> bool:
        """Whether the clock is at the target, and everything up to there has been done."""
        return self.now >= self.target and not self.busy


def create_sandbox(name: str, at: datetime | str | None = None, *, actor: str = "", **fields: Any) -> TimerGroup:
    """Create a group with its own clock, frozen at an instant (past or future); None: at the present time.

    A group is a sandbox from its creation or never.

    Args:
        name: name of the group.
        at: the instant.
        actor: who requests it; empty: the current actor.
        fields: as for create_group.
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

    Occurrences between its present instant and `at` count as missed, and follow the misfire policy.

    Args:
        name: name of the sandbox.
        at: instant at which the clock stops; None: its present instant.
        actor: who requests it; empty: the current actor.

    Raises:
        InvalidRequest: the instant is before the group's clock, or the group is not a sandbox.
        TimerNotFound: there is no such group.
    """
    with audited("group.freeze_clock", actor, group=name, name=name) as entry:
        group, real, now = _lock(name)
        return _set(entry.watch(group), real, _forward(now, at, "at"), frozen=True)


def run_clock(name: str, *, actor: str = "") -> TimerGroup:
    """Let a sandbox's clock run from its present instant, at the speed of the database's clock."""
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
    """Advance a sandbox's clock `by` a duration or `to` an instant (exactly one of the two).

    The clock stops at each fire on its way: one call moves it to the next instant at which something is due, or to the
    target if there is none before. While something is due or running it does not move at all. So the caller repeats the
    call, with the result's `target` as `to`, until the result has `arrived`. Workers fire meanwhile, each occurrence at
    its own instant.

    Args:
        name: name of the sandbox.
        by: a duration (a number is in seconds).
        to: an instant.
        jump: whether to go to the target at once. Occurrences on the way count as missed, as after a downtime: the
            group's misfire policy decides.
        actor: who requests it; empty: the current actor.

    Raises:
        InvalidRequest: as for freeze_clock, or not exactly one of `by` and `to` was given.
        TimerNotFound: there is no such group.
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
    """Return the locked sandbox, the current time of the database, and that of the sandbox."""
    group = TimerGroup.objects.select_for_update(no_key=True).filter(name=name).first()
    if group is None:
        raise TimerNotFound(f"there is no group {name!r}")
    if not group.sandbox:
        raise InvalidRequest("name", "is no sandbox, its clock is the database's; create_sandbox makes one", given=name)
    real = clock.now()
    return group, real, GroupClock.of(group).moment(real)


def _set(group: TimerGroup, real: datetime, now: datetime, *, frozen: bool) -> TimerGroup:
    """Set the clock to an instant of the group while the database's is `real`; workers search for work at once."""
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
    """The number of due items at a group's present instant, and when the next one is due."""

    busy: int
    next_at: datetime | None


# One statement, so one snapshot: work that a worker is claiming is seen either where it was or where it is.
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
    # Nothing fires before the pause is over: its end is the next instant, if it ends automatically.
    is_over = group.paused_until is not None and group.paused_until <= now
    return _Coming(int(claimed) + is_over, None if is_over else group.paused_until)
