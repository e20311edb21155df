"""Backfill: run the occurrences of a past time range on demand, at a limited rate.

Each occurrence becomes an execution of its own, in addition to those of the schedule. The execution's id encodes the
instant and that it is a backfill, so the same range can be run again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from timers import clock
from timers.control.audit import audited
from timers.control.call_back_to_cancel import cancel_claimed
from timers.control.change import KEEP
from timers.control.find_timer import lock_timer, read_timer
from timers.control.run import ordinals_of, subscribers_for
from timers.database import connection
from timers.domain.execution_id import ORDINALS, OVERLAPPING, execution_id, lower_bound
from timers.domain.execution_id import parse as parse_id
from timers.domain.pace import check_pace, pause_between
from timers.domain.payload import encode
from timers.engine.arrays import plain_array, timestamp
from timers.engine.end_waiting import end_waiting
from timers.engine.group_clock import GroupClock
from timers.engine.wakeup import wake_if_soon
from timers.exceptions import InvalidRequest, NotAllowedNow, StaleVersion
from timers.models import Timer, Waiting
from timers.models.calendars import schedule_of
from timers.models.claimed import claimed_executions
from timers.schedules import Schedule
from timers.schedules.excluding import Excluding
from timers.schedules.instant import parse_instant, to_microseconds

MAX_BACKFILL: Final = 10_000
"""Maximum number of occurrences of one call."""
OVERLAP: Final = ("queue", "allow")


@dataclass(frozen=True, slots=True)
class Backfilled:
    """The executions that a backfill will run."""

    executions: int
    first: datetime
    last: datetime


def backfill_timer(
    group: str,
    name: str,
    *,
    start: datetime | str,
    end: datetime | str,
    overlap: str = "queue",
    per_second: float | None = None,
    payload: Any = KEEP,
    actor: str = "",
) -> Backfilled:
    """Run every occurrence of the timer's schedule from `start` to before `end`, both in the past.

    Occurrences that exclusion calendars exclude are excluded here too.

    Args:
        group: name of the group.
        name: name of the timer.
        start: beginning of the range, inclusive.
        end: end of the range, exclusive.
        overlap: "queue" runs one execution after the other, oldest first. Unless the timer's overlap policy is `allow`,
            none runs at the same time as another execution of the timer, and the schedule takes precedence. "allow"
            runs as many at once as there are slots, whatever else runs.
        per_second: maximum number of executions that become ready per second; None: no limit.
        payload: payload of these executions; KEEP: the timer's.
        actor: who requests it; empty: the current actor.

    Returns:
        The number of executions, and their first and last instant.

    Raises:
        InvalidRequest: there is no occurrence to run, or there are more than 10,000.
        NotAllowedNow: the timer is cancelled.
        StaleVersion: the timer was changed while its occurrences were computed.
    """
    text = None if payload is KEEP else encode(payload)
    # Compute thousands of instants before the row is locked; under the lock, check that they are still valid.
    read = read_timer(group, name)
    if read.state == Timer.State.CANCELLED:
        raise NotAllowedNow(f"timer {name!r} is cancelled; schedule it again")
    since, until = _check_range(start, end, GroupClock.of(read.group).moment(clock.now()))
    pause = _check_pace(overlap, per_second)
    if read.schedule_kind == "fixed_delay":
        raise InvalidRequest("schedule", "of kind fixed_delay has no past instants: they follow from the runs")
    instants = _instants(schedule_of(read), since, until)
    with audited("timer.backfill", actor, group=group, name=name) as entry:
        timer = entry.watch(lock_timer(group, name))
        if (timer.id, timer.version, timer.group.version) != (read.id, read.version, read.group.version):
            raise StaleVersion(f"timer {name!r} was changed while its occurrences were computed; repeat the request")
        now = GroupClock.of(timer.group).moment(clock.now())
        matches = subscribers_for(timer, text)
        rows = [
            _Row(at, now + pause * number, place, ordinal)
            for number, at in enumerate(instants)
            for place, ordinal in enumerate(ordinals_of(matches, execution_id(to_microseconds(at), timer.id)))
        ]
        is_free = overlap == "allow" or not (_under_way(timer) or timer.open_execution)
        _insert(timer, rows, overlap, is_free, text, f"backfill by {actor}" if actor else "backfill")
        wake_if_soon([now], now)
        entry.told(
            start=since, end=until, overlap=overlap, per_second=per_second, executions=len(rows),
            **({} if text is None else {"payload": json.loads(text)}),
        )  # fmt: skip
    return Backfilled(len(rows), instants[0], instants[-1])


class _Row(NamedTuple):
    """One execution to create."""

    at: datetime
    available_at: datetime
    place: int
    """Index among the executions of the same instant: one for each subscription that receives it."""
    subscription: int


def cancel_backfill(group: str, name: str, *, reason: str = "", actor: str = "") -> int:
    """Cancel the timer's backfill executions that have not begun. Return how many were cancelled.

    Args:
        group: name of the group.
        name: name of the timer.
        reason: why, as recorded in the ledger; empty: who cancelled.
        actor: who requests it; empty: the current actor.

    Raises:
        TimerNotFound: there is no such timer.
    """
    with audited("timer.cancel_backfill", actor, group=group, name=name) as entry:
        timer = entry.watch(lock_timer(group, name))
        why = reason or (f"backfill cancelled by {actor}" if actor else "the backfill was cancelled")
        where = "timer_id = %(timer)s AND origin = 'backfill' AND state IN ('ready', 'queued')"
        unbegun, _ = cancel_claimed(timer.id, timer.group_id, lambda each: each.origin == "backfill", begun_too=False)
        cancelled = len(unbegun) + len(end_waiting(where, "cancelled", why, wait=True, timer=timer.id))
        if not cancelled:
            entry.nothing()
        entry.told(cancelled_executions=cancelled, **({"reason": reason} if reason else {}))
        return cancelled


def _check_range(start: datetime | str, end: datetime | str, now: datetime) -> tuple[datetime, datetime]:
    since, until = parse_instant(start, "start"), parse_instant(end, "end")
    if until > now:
        raise InvalidRequest(
            "end", "must not lie in the future: what is to come fires by itself", given=until.isoformat()
        )
    if since >= until:
        raise InvalidRequest("start", "must be before end", given=since.isoformat())
    return since, until


def _check_pace(overlap: str, per_second: float | None) -> timedelta:
    """Return the time between two executions becoming ready."""
    if overlap not in OVERLAP:
        raise InvalidRequest("overlap", f"must be one of {', '.join(OVERLAP)}", given=overlap)
    return pause_between(check_pace(per_second, "per_second"))


def _instants(schedule: Schedule, since: datetime, until: datetime) -> list[datetime]:
    instants: list[datetime] = []
    for instant in _walk(schedule, since, until):
        if len(instants) == MAX_BACKFILL:
            raise InvalidRequest(
                "end", f"gives more than {MAX_BACKFILL:,} occurrences; ask for them in shorter stretches"
            )
        instants.append(instant)
    if not instants:
        raise InvalidRequest("start", "the schedule has no occurrence from there to the end", given=since.isoformat())
    return instants


def _walk(schedule: Schedule, since: datetime, until: datetime) -> Iterator[datetime]:
    instant = schedule.first(since)
    while instant is not None and instant < until:
        if schedule.reason(instant) is None:
            yield instant
            instant = schedule.next_after(instant)
        elif isinstance(schedule, Excluding):  # Skip what calendars exclude block by block.
            found = schedule.to_run(instant)
            instant = found.instant if found.excluded_until is None else schedule.first(found.excluded_until)
        else:
            instant = schedule.next_after(instant)


def _under_way(timer: Timer) -> bool:
    """Return whether an earlier backfill of the timer is not finished: the new one is queued behind it."""
    waits = Waiting.objects.filter(timer_id=timer.id, origin="backfill", state__in=["ready", "queued"]).exists()
    return waits or any(parse_id(execution).origin == "backfill" for execution in claimed_executions(timer))


_INSERT = f"""
INSERT INTO timers_waiting (id, group_id, timer_id, name, state, available_at, attempt, forgiven, missed_count, payload,
                            origin, subscription, reason, limit_key, error_title, created_at, changed_at)
SELECT u.id, %(group)s, %(timer)s, %(name)s, u.state, {timestamp("u.available_us")}, 0, 0, 0, %(payload)s::json,
       'backfill', u.subscription, %(reason)s, %(limit_key)s, '', timers_now(), timers_now()
FROM unnest(%(ids)s::uuid[], %(states)s::text[], %(available)s::bigint[], %(subscriptions)s::int[])
     AS u(id, state, available_us, subscription)
"""


def _insert(timer: Timer, rows: list[_Row], overlap: str, is_free: bool, payload: str | None, reason: str) -> None:
    pool = range(OVERLAPPING, ORDINALS) if overlap == "allow" else range(OVERLAPPING)
    ordinals = _free_ordinals(timer, rows[0].at, rows[-1].at, 1 + max(row.place for row in rows), pool)
    ready = len(rows) if overlap == "allow" else int(is_free)
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            {
                "group": timer.group_id,
                "timer": timer.id,
                "name": timer.name,
                "payload": payload,
                "reason": reason,
                "limit_key": timer.limit_key,
                "ids": plain_array(
                    execution_id(to_microseconds(row.at), timer.id, "backfill", ordinals[row.place]) for row in rows
                ),
                "states": plain_array("ready" if number < ready else "queued" for number in range(len(rows))),
                "available": plain_array(to_microseconds(row.available_at) for row in rows),
                "subscriptions": plain_array(row.subscription for row in rows),
            },
        )


_ORDINALS_USED = """
SELECT DISTINCT (('x' || right(replace(id::text, '-', ''), 16))::bit(64)::bigint >> 10) & 255
FROM (SELECT id FROM timers_attempt WHERE timer_id = %(timer)s AND id >= %(first)s AND id < %(beyond)s
                                      AND origin = 'backfill'
      UNION ALL
      SELECT id FROM timers_waiting WHERE timer_id = %(timer)s AND id >= %(first)s AND id < %(beyond)s
                                      AND origin = 'backfill') AS earlier
"""


def _free_ordinals(timer: Timer, first: datetime, last: datetime, wanted: int, pool: range) -> list[int]:
    """Return the ordinals for this backfill's ids.

    They distinguish its ids from those of earlier backfills of the same instants, and from each other.
    """
    bounds: dict[str, Any] = {
        "timer": timer.id,
        "first": lower_bound(to_microseconds(first)),
        "beyond": lower_bound(to_microseconds(last) + 1000),
    }
    with connection.cursor() as cursor:
        cursor.execute(_ORDINALS_USED, bounds)
        used = {ordinal for (ordinal,) in cursor.fetchall()}
    claimed = [parse_id(execution) for execution in claimed_executions(timer)]
    used |= {occurrence.ordinal for occurrence in claimed if occurrence.origin == "backfill"}
    free = [ordinal for ordinal in pool if ordinal not in used][:wanted]
    if len(free) < wanted:
        raise NotAllowedNow(
            f"these occurrences of timer {timer.name!r} have been backfilled too often: at most {len(pool)} times"
        )
    return free
