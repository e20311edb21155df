"""Siblings: the executions of one occurrence, one for each subscription that receives it.

The occurrence has ended when all of them have; then its timer may continue. One that has failed and waits for a person
counts as ended. One that waits for a paused subscription does not block others, nor does one that waits for a retry if
`retry_blocks` is off.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from timers.database import connection
from timers.domain.execution_id import ids_open_as, open_as
from timers.engine.arrays import plain_array

_LIVING: Final = """
SELECT w.id::text FROM timers_waiting w
JOIN timers_timer_group g ON g.id = w.group_id
LEFT JOIN timers_subscription s ON s.group_id = w.group_id AND s.ordinal = w.subscription
LEFT JOIN timers_timer t ON t.id = w.timer_id
WHERE w.id = ANY(%(ids)s::uuid[]) AND w.state IN ('ready', 'queued')
  AND (s.state IS DISTINCT FROM 'paused' OR t.until_committed)
  AND (w.attempt = 0 OR t.until_committed OR t.schedule_kind = 'fixed_delay'
       OR COALESCE((t.overrides ->> 'retry_blocks')::boolean, g.retry_blocks))
UNION ALL
SELECT e.id::text FROM timers_claim c, unnest(c.executions) AS e(id)
JOIN unnest(%(ids)s::uuid[]) AS wanted(id) ON wanted.id = e.id
WHERE c.group_id = ANY(%(groups)s::bigint[])
UNION ALL
SELECT o.id::text FROM timers_chain_order o
WHERE o.id = ANY(%(ids)s::uuid[]) AND o.ended_at IS NULL AND o.state <> 'failed'
"""


def still_open(occurrences: Mapping[str, Iterable[int]], groups: Collection[int], ended: Collection[str]) -> set[str]:
    """Return those of the occurrences of which another execution is open.

    It is one statement, so an execution that moves between waiting and a claim meanwhile is seen in one of them.

    Args:
        occurrences: id -> the ordinals that its executions may have.
        groups: the groups of the occurrences.
        ended: executions that are ending now.
    """
    wanted = [each for occurrence, ordinals in occurrences.items() for each in ids_open_as(occurrence, ordinals)]
    if not wanted:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(_LIVING, {"ids": plain_array(wanted), "groups": plain_array(set(groups))})
        return {open_as(execution) for (execution,) in cursor.fetchall() if execution not in ended}


def ordinals_of(groups: Collection[int]) -> dict[int, list[int]]:
    """Return the ordinals of all subscriptions of groups, including deleted ones; groups without any are left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT group_id, array_agg(ordinal) FROM timers_subscription WHERE group_id = ANY(%s::bigint[])"
            " GROUP BY group_id",
            (plain_array(set(groups)),),
        )
        return dict(cursor.fetchall())
