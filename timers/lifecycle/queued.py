"""Queued executions: they wait behind another one of their timer, and become ready when that one ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import connection

from timers.execution_id import occurrence_of
from timers.lifecycle.arrays import plain_array, timestamp
from timers.lifecycle.group_clock import group_now


def queued_behind(timer_ids: Sequence[int]) -> dict[int, int]:
    """How many scheduled fires queue for each of these timers; those without any are left out."""
    if not timer_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            # The first half of an id is its instant: several executions of one occurrence (for so many subscriptions)
            # count as one.
            "SELECT timer_id, count(DISTINCT left(id::text, 18)) FROM timers_waiting"
            " WHERE state = 'queued' AND origin = 'schedule' AND timer_id = ANY(%s::bigint[]) GROUP BY timer_id",
            (plain_array(timer_ids),),
        )
        return dict(cursor.fetchall())


_PROMOTE = f"""
UPDATE timers_waiting w
SET state = 'ready', available_at = greatest(w.available_at, {group_now(timestamp("%(now_us)s"))}),
    changed_at = {timestamp("%(now_us)s")}
FROM (SELECT q.id
      FROM (SELECT DISTINCT ON (timer_id) timer_id, id FROM timers_waiting
            WHERE timer_id = ANY(%(timers)s::bigint[]) AND state = 'queued'
              AND (origin = 'backfill') = %(backfill)s
            ORDER BY timer_id, id) AS first
      JOIN timers_waiting q
        ON q.timer_id = first.timer_id AND q.state = 'queued' AND (q.origin = 'backfill') = %(backfill)s
       -- The first half of an id is its instant: the others of the occurrence, for so many subscriptions, lie above.
       AND q.id BETWEEN first.id AND CASE WHEN %(backfill)s THEN first.id
                                          ELSE (left(first.id::text, 18) || '-bfff-ffffffffffff')::uuid END
     ) AS oldest, timers_timer_group g
WHERE w.id = oldest.id AND g.id = w.group_id
RETURNING w.timer_id, w.id::text
"""


def promote(timer_ids: Iterable[int], now_us: int, *, backfill: bool = False) -> dict[int, str]:
    """Make the oldest queued occurrence of each (locked) timer ready; returns timer -> its execution.

    Where that has several executions, for so many subscriptions, all of them become ready, and the one returned is the
    id that they share. Scheduled fires and backfilled ones queue apart from each other, and of the latter each by
    itself.
    """
    wanted = sorted(set(timer_ids))
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_PROMOTE, {"timers": plain_array(wanted), "now_us": now_us, "backfill": backfill})
        return {timer: occurrence_of(execution) for timer, execution in cursor.fetchall()}
