"""Run bulk operations (retry and dismiss by filter), chunk by chunk. Leaderless: any node does the next chunk.

A chunk and the cursor behind it are one transaction, under a lock of the operation's row that others skip. So a crash
repeats nothing and omits nothing, and two concurrent nodes neither skip nor duplicate. A pace is kept by instants: each
execution has its own, 1 / pace seconds after the previous one. Retried ones become ready for theirs up to a second
ahead, so they are spread evenly however often a node looks; dismissed ones wait for theirs.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import DatabaseError
from django.db.models import Min, Q

from timers import clock
from timers.database import connection, transaction
from timers.domain.pace import pause_between
from timers.engine.end_waiting import end_waiting
from timers.engine.failed_filter import FailedFilter
from timers.engine.orders.cancelling import end_parked_branches, lock_before_end
from timers.engine.retry_waiting import retry_waiting
from timers.models import BulkOperation

CHUNK: Final = 500
"""Maximum number of executions of one transaction."""
WINDOW: Final = 10_000
"""Number of failed executions that one transaction searches for those that match the filter."""
AHEAD: Final = timedelta(seconds=1)
INTERVAL: Final = 0.25
"""Seconds between two chunks of a paced operation."""
LONGEST_WAIT: Final = 2.0
SET_BACK: Final = timedelta(seconds=5)
EXAMPLES: Final = 5
"""Maximum number of refused executions that are stored with their reasons."""
HAS_OPERATIONS: Final = "EXISTS (SELECT 1 FROM timers_bulk_operation o WHERE o.state = 'running')"
"""SQL: whether an operation is running."""


def carry_out() -> float | None:
    """Do one chunk of the next operation; return the seconds until there is more to do, None: nothing runs.

    An operation whose chunk fails is delayed by five seconds, so that it does not block others; the error is raised.
    """
    operation: BulkOperation | None = None
    try:
        with transaction.atomic():
            now = clock.now()
            operation = _lock_next(now)
            if operation is not None:
                _do_chunk(operation, now)
    except Exception:
        if operation is not None:
            with suppress(DatabaseError):
                _running(id=operation.id).update(next_at=clock.now() + SET_BACK)
        raise
    if operation is not None:
        return 0.0
    next_at: datetime | None = _running().aggregate(at=Min("next_at"))["at"]
    if next_at is None:
        return None
    return min(max((next_at - AHEAD - now).total_seconds(), INTERVAL), LONGEST_WAIT)


def _running(**conditions: Any) -> Any:
    return BulkOperation.objects.filter(state=BulkOperation.State.RUNNING, **conditions)


def _lock_next(now: datetime) -> BulkOperation | None:
    """Lock and return the operation that has waited longest for its turn; skip those that another node works on."""
    due = Q(verb=BulkOperation.Verb.RETRY, pace__isnull=False, next_at__lte=now + AHEAD) | Q(next_at__lte=now)
    operation: BulkOperation | None = (
        _running().filter(due).order_by("next_at", "id").select_for_update(skip_locked=True).first()
    )
    return operation


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The next part of an operation."""

    executions: list[str]
    cursor: int
    """The entry up to which everything is done after the chunk."""
    is_last: bool


def _do_chunk(operation: BulkOperation, now: datetime) -> None:
    pause = pause_between(operation.pace)
    first, room = _room(operation, pause, now)
    chunk = _next_chunk(operation, room)
    delays_us = {
        execution: max(0, (first + number * pause - now) // timedelta(microseconds=1))
        for number, execution in enumerate(chunk.executions)
    }
    if operation.verb == BulkOperation.Verb.RETRY:
        retried = retry_waiting(delays_us, _told(operation, "retried"))
        operation.done += len(retried.done)
        operation.refused += len(retried.refused)
        examples = [{"execution": execution, "message": why} for execution, why in retried.refused.items()]
        operation.refusals = [*operation.refusals, *examples][:EXAMPLES]
    elif chunk.executions:
        where = "state = 'failed' AND id = ANY(%(ids)s::uuid[])"
        why = _told(operation, "dismissed")
        lock_before_end(chunk.executions)
        ended = end_parked_branches(chunk.executions, why)
        ended += end_waiting(where, "failed", why, wait=True, ids=chunk.executions)
        operation.done += len(ended)
    operation.cursor = chunk.cursor
    operation.next_at = first + len(chunk.executions) * pause
    if chunk.is_last:
        operation.state, operation.ended_at = BulkOperation.State.DONE, now
    operation.save(update_fields=["done", "refused", "refusals", "cursor", "next_at", "state", "ended_at"])


def _room(operation: BulkOperation, pause: timedelta, now: datetime) -> tuple[datetime, int]:
    """Return the instant of the next execution, and how many may be taken now. Missed instants are not made up for."""
    if not pause:
        return now, CHUNK
    if operation.verb == BulkOperation.Verb.RETRY:
        first, until = max(operation.next_at, now), now + AHEAD
    else:
        first, until = max(operation.next_at, now - timedelta(seconds=INTERVAL)), now
    return first, min(CHUNK, (until - first) // pause + 1)


_FAILED: Final = """
SELECT * FROM timers_waiting w WHERE w.state = 'failed' AND w.entry > %(cursor)s AND w.entry <= %(frozen)s
ORDER BY w.entry LIMIT %(window)s
"""

_SELECT: Final = f"SELECT w.id::text, w.entry FROM ({_FAILED}) w WHERE {{where}} ORDER BY w.entry LIMIT %(room)s"
_WINDOW_END: Final = f"SELECT max(w.entry), count(*) FROM ({_FAILED}) w"


def _next_chunk(operation: BulkOperation, room: int) -> _Chunk:
    meant = FailedFilter.stored(operation.filter)
    params = {
        **meant.params(),
        "cursor": operation.cursor,
        "frozen": operation.frozen_entry,
        "group_ids": operation.group_ids,
        "window": WINDOW,
        "room": room,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SELECT.format(where=meant.where(in_groups=operation.group_ids is not None) or "true"), params)
        found: list[tuple[str, int]] = cursor.fetchall()
        if len(found) == room:
            return _Chunk([execution for execution, _ in found], found[-1][1], is_last=False)
        cursor.execute(_WINDOW_END, params)
        end, seen = cursor.fetchone()
    is_last = seen < WINDOW
    return _Chunk([execution for execution, _ in found], operation.frozen_entry if is_last else end, is_last)


def _told(operation: BulkOperation, word: str) -> str:
    """Return the reason for the rows and the ledger."""
    by = f" by {operation.created_by}" if operation.created_by else ""
    return f"{word}{by} (operation {operation.id})" + (f": {operation.reason}" if operation.reason else "")
