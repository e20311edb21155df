"""Check for timers without the key that their group limits by."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from timers.insights.counts import CAP
from timers.insights.doctor.finding import Finding, amount, rows, shown
from timers.models.due_index import IN_PART, PARTS

_WITHOUT_KEY: Final = f"""
SELECT g.name AS "group", g.concurrency_key, t.name AS timer
FROM timers_timer_group g CROSS JOIN {PARTS}
CROSS JOIN LATERAL (SELECT t.name FROM timers_timer t WHERE {IN_PART} AND t.limit_key = '' LIMIT {CAP + 1}) t
WHERE g.concurrency_key IS NOT NULL AND (g.max_concurrency_per_key IS NOT NULL OR g.max_rate_per_key IS NOT NULL)
ORDER BY g.name, t.name LIMIT {CAP + 1}
"""


def timers_without_key(now: datetime) -> list[Finding]:
    """Report active timers in whose payload the group's key path finds nothing: they all share one limit."""
    found = rows(_WITHOUT_KEY)
    if not found:
        return []
    return [
        Finding(
            "warning",
            f"{amount(found, CAP, 'timer')} without the key that their group limits by: they share one limit.",
            "Correct their payloads or the concurrency_key of the group, or give each timer a concurrency_key.",
            shown(found),
        )
    ]
