"""Check for messages of pull groups that no consumer claims."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from timers.insights.counts import CAP
from timers.insights.doctor.finding import Finding, amount, rows, shown
from timers.insights.doctor.overdue import NOT_PAUSED
from timers.insights.doctor.subscriptions import LONG
from timers.models.due_index import IN_PART, PARTS

# Pull subscriptions have their own check: their messages wait as ready executions.
_UNCLAIMED: Final = f"""
SELECT g.name AS "group", waiting.since
FROM timers_timer_group g
CROSS JOIN LATERAL (
    SELECT min(oldest.since) AS since FROM (
        (SELECT due.next_fire_at AS since FROM {PARTS} CROSS JOIN LATERAL (
            SELECT t.next_fire_at FROM timers_timer t
            WHERE {IN_PART} AND t.open_execution IS NULL AND t.next_fire_at IS NOT NULL
            ORDER BY t.next_fire_at LIMIT 1) due)
        UNION ALL
        (SELECT w.available_at FROM timers_waiting w
         WHERE w.group_id = g.id AND w.subscription = 0 AND w.state = 'ready'
         ORDER BY w.available_at LIMIT 1)) oldest) waiting
WHERE {NOT_PAUSED} AND g.state = 'active' AND NOT g.sandbox AND g.worker_ordinals IS NULL
  AND g.action ->> 'kind' = 'pull' AND waiting.since < %(now)s - {LONG} * INTERVAL '1 second'
ORDER BY waiting.since LIMIT {CAP + 1}
"""


def unclaimed_messages(now: datetime) -> list[Finding]:
    """Report pull groups whose oldest message has waited for an hour."""
    found = rows(_UNCLAIMED, {"now": now})
    if not found:
        return []
    return [
        Finding(
            "warning",
            f"{amount(found, CAP, 'group')} with messages that no consumer has claimed for an hour and more.",
            "Start a consumer of the group, or pause the group. With max_lateness, messages that are too old for any"
            " use are skipped.",
            shown(found),
        )
    ]
