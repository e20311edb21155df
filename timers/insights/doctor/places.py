"""Checks for occurrences in two places at once, or in none: this must never happen, whatever has failed."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from timers.insights.counts import CAP
from timers.insights.doctor.finding import Finding, amount, rows, shown
from timers.models.due_index import IN_PART, PARTS

REPORT_IT: Final = "This is a fault of the service or a change by hand. Keep the log of the nodes named, and report it."
NEXT_TIMERS: Final = 1_000
"""Number of next timers that are checked in each shard."""
WAITING_LOOKED_AT: Final = 10_000

# An order that moved while a worker ran its step is in its new place, and the claim no longer moves it.
_HAS_GONE: Final = """
EXISTS (SELECT 1 FROM timers_chain_order o
        WHERE o.id = e.id AND o.turn <> (c.details -> e.id::text -> 'order' ->> 'turn')::int)
"""
_TWICE: Final = f"""
WITH held AS (SELECT c.id AS fence, c.node_id, e.id AS execution FROM timers_claim c, unnest(c.executions) AS e(id)
              WHERE NOT {_HAS_GONE})
SELECT h.execution, 'claim and waiting' AS places, h.fence, n.name AS node, w.state AS waiting
FROM held h JOIN timers_waiting w ON w.id = h.execution LEFT JOIN timers_node n ON n.id = h.node_id
UNION ALL
SELECT h.execution, 'two claims', max(h.fence), NULL, NULL FROM held h GROUP BY h.execution HAVING count(*) > 1
LIMIT {CAP + 1}
"""


def in_two_places(now: datetime) -> list[Finding]:
    """Report executions that are in a claim and in waiting, or in two claims: they may run twice."""
    found = rows(_TWICE)
    if not found:
        return []
    return [Finding("error", f"{amount(found, CAP, 'execution')} in two places at once.", REPORT_IT, shown(found))]


_ENDED: Final = f"""
SELECT a.id AS execution, x.place, a.name AS timer, a.outcome, a.finished_at
FROM (
    SELECT e.id, 'claim' AS place FROM timers_claim c, unnest(c.executions) AS e(id) WHERE NOT {_HAS_GONE}
    UNION ALL
    SELECT w.id, 'waiting, ' || w.state FROM
        (SELECT id, state FROM timers_waiting ORDER BY id DESC LIMIT {WAITING_LOOKED_AT}) w
) x JOIN timers_attempt a ON a.id = x.id
LIMIT {CAP + 1}
"""


def finished_but_held(now: datetime) -> list[Finding]:
    """Report executions with a final row that are still claimed or waiting: they would run again, without effect."""
    found = rows(_ENDED)
    if not found:
        return []
    what = f"{amount(found, CAP, 'execution')} claimed or waiting that the ledger says have ended."
    return [Finding("error", what, REPORT_IT, shown(found))]


# A timer that waits for its open execution has no next instant and is at the end of the due index; other timers come to
# the start of it before they fire. Both are read from the index, shard by shard.
_OPEN: Final = f"""
SELECT g.name AS "group", t.name AS timer, t.open_execution AS execution, t.next_fire_at,
       (SELECT a.outcome FROM timers_attempt a WHERE a.id = t.open_execution) AS ended_as
FROM timers_timer_group g
CROSS JOIN {PARTS}
CROSS JOIN LATERAL (
    (SELECT * FROM timers_timer t WHERE {IN_PART}
       AND t.next_fire_at IS NULL LIMIT {NEXT_TIMERS})
    UNION ALL
    (SELECT * FROM timers_timer t WHERE {IN_PART}
       AND t.next_fire_at IS NOT NULL ORDER BY t.next_fire_at LIMIT {NEXT_TIMERS})) t
WHERE t.open_execution IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM timers_waiting w WHERE w.id = t.open_execution)
  AND NOT t.open_execution IN (SELECT unnest(c.executions) FROM timers_claim c)
  AND NOT EXISTS (SELECT 1 FROM timers_chain_order o WHERE o.id = t.open_execution AND o.ended_at IS NULL)
  -- With subscriptions it is an occurrence, whose executions have the same first half of their ids.
  AND (g.worker_ordinals IS NULL OR NOT EXISTS (
        SELECT 1 FROM timers_waiting w
        WHERE w.timer_id = t.id AND left(w.id::text, 18) = left(t.open_execution::text, 18)
        UNION ALL
        SELECT 1 FROM timers_claim c, unnest(c.executions) AS e(id)
        WHERE c.group_id = g.id AND left(e.id::text, 18) = left(t.open_execution::text, 18)))
LIMIT {CAP + 1}
"""


def open_in_no_place(now: datetime) -> list[Finding]:
    """Report active timers whose open execution is neither claimed nor waiting: they skip fires or stop firing."""
    found = rows(_OPEN)
    if not found:
        return []
    return [
        Finding(
            "error",
            f"{amount(found, CAP, 'timer')} waiting for the end of an execution that is nowhere.",
            "Set it going again by scheduling it again (on_conflict='replace' after cancel_timer). " + REPORT_IT,
            shown(found),
        )
    ]


# Scheduled and backfilled fires have separate queues; a queue moves when a ready or claimed execution of its own ends.
# In an id, bits 18 to 61 are the timer's and bits 64 and 65 the origin (2: backfill).
_QUEUED: Final = f"""
WITH queues AS (
    SELECT w.timer_id, w.origin = 'backfill' AS backfill, min(w.name) AS timer, min(w.group_id) AS group_id,
           count(*) AS queued, min(w.created_at) AS since
    FROM (SELECT * FROM timers_waiting WHERE state = 'queued' ORDER BY timer_id, id LIMIT {WAITING_LOOKED_AT}) w
    GROUP BY 1, 2
), moving AS (
    SELECT timer_id, origin = 'backfill' AS backfill FROM timers_waiting WHERE state = 'ready' AND origin <> 'manual'
    UNION
    SELECT q.timer_id, q.backfill FROM queues q JOIN timers_chain_order o ON o.timer_id = q.timer_id
    WHERE o.parent IS NULL AND o.ended_at IS NULL AND o.state <> 'failed'
    UNION
    SELECT (('x' || right(x.hex, 16))::bit(64)::bigint >> 18) & {(1 << 44) - 1},
           ('x' || substr(x.hex, 16, 1))::bit(4)::int & 3 = 2
    FROM timers_claim c, unnest(c.executions) AS e(id), replace(e.id::text, '-', '') AS x(hex)
    WHERE ('x' || substr(x.hex, 16, 1))::bit(4)::int & 3 IN (0, 2)
)
SELECT g.name AS "group", q.timer, CASE WHEN q.backfill THEN 'backfill' ELSE 'schedule' END AS origin, q.queued, q.since
FROM queues q LEFT JOIN timers_timer_group g ON g.id = q.group_id
WHERE NOT EXISTS (SELECT 1 FROM moving m WHERE m.timer_id = q.timer_id AND m.backfill = q.backfill)
LIMIT {CAP + 1}
"""


def queued_behind_nothing(now: datetime) -> list[Finding]:
    """Report timers with queued executions and no execution before them whose end would let them begin."""
    found = rows(_QUEUED)
    if not found:
        return []
    return [
        Finding(
            "error",
            f"{amount(found, CAP, 'timer')} with executions that queue behind nothing: they would wait for ever.",
            "Cancel them, and run again by hand or by a backfill what is still wanted. " + REPORT_IT,
            shown(found),
        )
    ]
