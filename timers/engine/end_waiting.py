"""End executions while they wait: write their final row and delete their row in waiting."""

from __future__ import annotations

from typing import Any

from timers import clock
from timers.database import connection, transaction
from timers.engine.advance import Ended, end_locked, lock_timers
from timers.engine.arrays import plain_array
from timers.engine.delete_finished import delete_finished
from timers.engine.group_clock import group_now
from timers.engine.orders.rows import lock_trees_of
from timers.schedules.instant import to_microseconds

_FIND = "SELECT timer_id, CASE WHEN step IS NOT NULL THEN id::text END FROM timers_waiting WHERE {where}"
# The final row of an execution that ends while it waits. `attempt` is the number of its attempts.
_END = f"""
WITH gone AS (
    DELETE FROM timers_waiting WHERE id = ANY(ARRAY(
        SELECT id FROM timers_waiting WHERE {{where}} AND (step IS NULL OR id = ANY(%(orders)s::uuid[]))
        ORDER BY id FOR UPDATE {{skip}})) RETURNING *
),
orders AS (
    UPDATE timers_chain_order o
    SET state = 'ended', outcome = %(outcome)s, reason = %(reason)s, turn = o.turn + 1, ended_at = timers_now(),
        changed_at = timers_now()
    FROM gone w WHERE w.step IS NOT NULL AND o.id = w.id AND o.ended_at IS NULL
)
INSERT INTO timers_attempt (id, group_id, timer_id, name, scheduled_for, attempt, outcome, reason, origin, finished_at,
                            missed_count, error_title, error_fingerprint)
SELECT w.id, w.group_id, w.timer_id, w.name,
       -- Bits 80 to 127 of an id are milliseconds, bits 66 to 75 the microseconds within.
       TIMESTAMPTZ 'epoch'
         + ('x' || left(replace(w.id::text, '-', ''), 12))::bit(48)::bigint * INTERVAL '1 millisecond'
         + (('x' || substr(replace(w.id::text, '-', ''), 14, 3))::bit(12)::int >> 2) * INTERVAL '1 microsecond',
       w.attempt, %(outcome)s, %(reason)s, w.origin,
       COALESCE({group_now("timers_now()")}, timers_now()), w.missed_count,
       NULLIF(w.error_title, ''), w.error_fingerprint
FROM gone w LEFT JOIN timers_timer_group g ON g.id = w.group_id
ON CONFLICT (id) DO NOTHING
RETURNING id::text, timer_id, finished_at, group_id
"""


def end_waiting(where: str, outcome: str, reason: str, *, wait: bool = False, **params: Any) -> list[str]:
    """End waiting executions that meet a condition; return their ids.

    Executions that another transaction is taking up, and orders whose tree another transaction changes, are left to it.
    A timer whose open execution ends here can fire
    again, and the next execution in its queue becomes ready.

    Args:
        where: SQL condition over timers_waiting.
        outcome: the final outcome.
        reason: the reason for the ledger.
        wait: wait for the commit of transactions that take up such executions, so that those are seen in their claims.
        params: parameters of the condition.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        # Timers and the trees of orders first, as the lock order requires.
        cursor.execute(_FIND.format(where=where), params)
        found = cursor.fetchall()
        timers = lock_timers(timer_id for timer_id, _ in found)
        orders = lock_trees_of([order for _, order in found if order is not None], skip_locked=not wait)
        end = _END.format(where=where, skip="" if wait else "SKIP LOCKED")
        cursor.execute(end, {"outcome": outcome, "reason": reason, "orders": plain_array(orders), **params})
        ended: list[Ended] = cursor.fetchall()
        end_locked(timers, ended, outcome, to_microseconds(clock.now()))
        delete_finished([timer.id for timer in timers.values() if timer.state == "finished"])
    return [execution for execution, *_ in ended]
