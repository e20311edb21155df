"""Delete finished timers with the policy on_finish = delete, once nothing of them is in progress.

The ledger keeps their history.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from timers.database import connection
from timers.engine.arrays import plain_array

# A timer that another transaction has locked (to run it again, for example) is left. Bits 18 to 61 of an execution id
# are the id of its timer.
_DELETE: Final = f"""
DELETE FROM timers_timer d WHERE d.id = ANY(ARRAY(
    SELECT t.id FROM timers_timer t JOIN timers_timer_group g ON g.id = t.group_id
    WHERE t.id = ANY(%(ids)s::bigint[]) AND t.state = 'finished' AND t.open_execution IS NULL
      AND COALESCE(t.overrides ->> 'on_finish', g.on_finish) = 'delete'
    ORDER BY t.id FOR UPDATE OF t SKIP LOCKED))
  AND NOT EXISTS (SELECT 1 FROM timers_waiting w WHERE w.timer_id = d.id)
  AND NOT EXISTS (SELECT 1 FROM timers_chain_order o WHERE o.timer_id = d.id AND o.ended_at IS NULL)
  AND (%(ended)s AND d.schedule_kind = 'once'
         AND NOT EXISTS (SELECT 1 FROM timers_subscription s WHERE s.group_id = d.group_id) OR d.id <> ALL(ARRAY(
    SELECT (('x' || right(replace(e.id::text, '-', ''), 16))::bit(64)::bigint >> 18) & {(1 << 44) - 1}
    FROM timers_claim c, unnest(c.executions) AS e(id))))
"""


def delete_finished(timer_ids: Collection[int], *, ended: bool = False) -> None:
    """Delete those of the timers that have finished, have no waiting or running executions, and are not to be kept.

    Args:
        timer_ids: the candidates.
        ended: an execution of each has just ended and left its claim. Without subscriptions a one-shot has only that
            execution, so the claims need not be searched for others.
    """
    if timer_ids:
        with connection.cursor() as cursor:
            cursor.execute(_DELETE, {"ids": plain_array(timer_ids), "ended": ended})
