"""Queued executions: they wait behind another one of their timer, and become ready when that one ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from timers.database import connection
from timers.domain.execution_id import open_as
from timers.engine.arrays import plain_array, timestamp
from timers.engine.group_clock import group_now

MADE_UP: Final = "made up for"
"""The reason of a queued execution whose instant was missed."""


class Queued(NamedTuple):
    """Number of scheduled fires queued behind the open execution of a timer."""

    overlapping: int = 0
    """Fires that came due while it was open."""
    made_up: int = 0
    """Fires whose instants were missed."""


NONE_QUEUED: Final = Queued()


def queued_behind(timer_ids: Sequence[int]) -> dict[int, Queued]:
    """Return how many scheduled fires are queued for each of these timers; those without any are left out."""
    if not timer_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            # The first half of an id is its instant: several executions of one occurrence (for several subscriptions)
            # count as one.
            "SELECT timer_id, count(DISTINCT left(id::text, 18)) FILTER (WHERE reason <> %s),"
            " count(DISTINCT left(id::text, 18)) FILTER (WHERE reason = %s) FROM timers_waiting"
            " WHERE state = 'queued' AND origin = 'schedule' AND attempt = 0 AND timer_id = ANY(%s::bigint[])"
            " GROUP BY timer_id",
            (MADE_UP, MADE_UP, plain_array(timer_ids)),
        )
        return {timer: Queued(overlapping, made_up) for timer, overlapping, made_up in cursor.fetchall()}


_PROMOTE = f"""
UPDATE timers_waiting w
SET state = 'ready', available_at = greatest(w.available_at, {group_now(timestamp("%(now_us)s"))}),
    changed_at = {timestamp("%(now_us)s")}
FROM (SELECT q.id
      FROM (SELECT DISTINCT ON (timer_id) timer_id, id, origin = 'backfill' AS is_backfill FROM timers_waiting
            WHERE timer_id = ANY(%(timers)s::bigint[]) AND state = 'queued'
              AND (origin <> 'backfill' OR timer_id = ANY(%(backfilling)s::bigint[]))
            ORDER BY timer_id, is_backfill, id) AS first
      JOIN timers_waiting q
        ON q.timer_id = first.timer_id AND q.state = 'queued' AND (q.origin = 'backfill') = first.is_backfill
       -- The first half of an id is its instant: the others of the occurrence, for so many subscriptions, lie above.
       AND q.id BETWEEN first.id AND CASE WHEN first.is_backfill THEN first.id
                                          ELSE (left(first.id::text, 18) || '-bfff-ffffffffffff')::uuid END
     ) AS oldest, timers_timer_group g
WHERE w.id = oldest.id AND g.id = w.group_id
RETURNING w.timer_id, w.id::text, w.origin
"""


class Promoted(NamedTuple):
    """Result of promote."""

    open: dict[int, str]
    """Timer -> its execution that is open from now on."""
    executions: int
    """Number of executions that have become ready; backfilled ones are open only when they are claimed."""


def promote(timer_ids: Iterable[int], now_us: int, backfilling: Collection[int] = ()) -> Promoted:
    """Make the oldest queued occurrence of each (locked) timer ready.

    If it has several executions, for several subscriptions, all of them become ready, and the returned id is the one
    that they share.

    Args:
        timer_ids: the timers.
        now_us: microseconds since 1970 UTC, by the database clock.
        backfilling: those of the timers that take up a backfill if nothing else is queued; each execution of a backfill
            becomes ready separately.
    """
    wanted = sorted(set(timer_ids))
    if not wanted:
        return Promoted({}, 0)
    with connection.cursor() as cursor:
        cursor.execute(
            _PROMOTE, {"timers": plain_array(wanted), "now_us": now_us, "backfilling": plain_array(backfilling)}
        )
        rows = cursor.fetchall()
    return Promoted({timer: open_as(each) for timer, each, origin in rows if origin != "backfill"}, len(rows))
