"""Executions that wait: retry or dismiss failed ones, cancel ready ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db import connection, models, transaction

from timers import clock
from timers.exceptions import NotAllowedNow, TimerNotFound
from timers.lifecycle.follow import lock_timers, write_moved
from timers.lifecycle.wakeup import wake_if_soon
from timers.models import Waiting
from timers.models.fields import ExactJSONField
from timers.payload import encode
from timers.policies import MAX_RETRIES
from timers.schedules.instant import to_microseconds

KEEP: Any = object()
"""Marks a payload that was not given: the execution keeps its own."""

# The final row of an execution that ends while it waits. `attempt`: the tries it had.
_END = """
WITH gone AS (
    DELETE FROM timers_waiting WHERE id = ANY(ARRAY(
        SELECT id FROM timers_waiting WHERE {where} ORDER BY id FOR UPDATE SKIP LOCKED)) RETURNING *
)
INSERT INTO timers_attempt (id, group_id, timer_id, name, scheduled_for, attempt, outcome, reason, origin, finished_at,
                            missed_count, error_title, error_fingerprint)
SELECT g.id, g.group_id, g.timer_id, g.name,
       -- Bits 80 to 127 of an id are milliseconds, bits 66 to 75 the microseconds within.
       TIMESTAMPTZ 'epoch'
         + ('x' || left(replace(g.id::text, '-', ''), 12))::bit(48)::bigint * INTERVAL '1 millisecond'
         + (('x' || substr(replace(g.id::text, '-', ''), 14, 3))::bit(12)::int >> 2) * INTERVAL '1 microsecond',
       g.attempt, %(outcome)s, %(reason)s, g.origin, timers_now(), g.missed_count,
       NULLIF(g.error_title, ''), g.error_fingerprint
FROM gone g
ON CONFLICT (id) DO NOTHING
RETURNING id::text, timer_id
"""


def retry_failed(execution: str, *, payload: Any = KEEP, actor: str = "") -> None:
    """Make a failed execution ready again, now, with all the retries of its policy; optionally with another payload.

    Raises TimerNotFound when there is no such execution waiting, NotAllowedNow when it has not failed.
    """
    text = None if payload is KEEP else encode(payload)
    with transaction.atomic():
        row = _lock(execution)
        if row.state != Waiting.State.FAILED:
            raise NotAllowedNow(f"execution {execution} is {row.state}; only a failed one can be retried")
        if row.attempt >= MAX_RETRIES:
            raise NotAllowedNow(
                f"execution {execution} had {row.attempt} tries, and no more than {MAX_RETRIES} are kept"
            )
        now = clock.now()
        if text is not None:
            # A JSON null is a payload too; an empty column would mean the timer's.
            row.payload = models.Value(json.loads(text), ExactJSONField())
        row.state, row.available_at, row.changed_at = Waiting.State.READY, now, now
        row.forgiven = row.attempt
        row.reason = f"retried by {actor}" if actor else "retried"
        fields = ["state", "available_at", "changed_at", "forgiven", "reason"]
        if text is not None:
            fields.append("payload")
        row.save(update_fields=fields)
        wake_if_soon([now], now)


def dismiss_failed(executions: Sequence[str], *, reason: str = "", actor: str = "") -> int:
    """Give failed executions up: their final outcome is failed; returns how many there were."""
    why = reason or (f"dismissed by {actor}" if actor else "dismissed")
    return _end("state = 'failed' AND id = ANY(%(ids)s::uuid[])", "failed", why, ids=list(executions))


def cancel_waiting(executions: Sequence[str], *, reason: str = "", actor: str = "") -> int:
    """Cancel executions that wait, ready or failed; returns how many there were."""
    why = reason or (f"cancelled by {actor}" if actor else "cancelled")
    return _end("id = ANY(%(ids)s::uuid[])", "cancelled", why, ids=list(executions))


def cancel_ready(timer_id: int, *, reason: str) -> int:
    """Cancel all ready executions of a timer; returns how many there were."""
    return _end("state = 'ready' AND timer_id = %(timer_id)s", "cancelled", reason, timer_id=timer_id)


def _end(where: str, outcome: str, reason: str, **params: Any) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        # Timers first: the order of all locks. One whose open execution ends here must be free to fire again.
        cursor.execute(f"SELECT timer_id FROM timers_waiting WHERE {where}", params)
        timers = lock_timers(timer_id for (timer_id,) in cursor.fetchall())
        cursor.execute(_END.format(where=where), {"outcome": outcome, "reason": reason, **params})
        ended = cursor.fetchall()
        now_us = to_microseconds(clock.now())
        moved = {}
        for execution, timer_id in ended:
            timer = timers.get(timer_id)
            if timer is not None and timer.open_execution == execution:
                timer.end(execution, outcome, now_us)
                moved[timer_id] = timer
        write_moved(moved.values())
    return len(ended)


def _lock(execution: str) -> Waiting:
    row = Waiting.objects.select_for_update().filter(id=execution).first()
    if row is None:
        raise TimerNotFound(f"no execution {execution} is waiting")
    return row
