"""Check for failed executions that wait for a person."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from timers.insights.counts import CAP
from timers.insights.doctor.finding import Finding, amount, rows

# The newest are enough to show the cause.
_FAILED: Final = f"""
SELECT g.name AS "group", w.name AS timer, w.error_title AS error, w.attempt AS tries, w.changed_at
FROM (SELECT * FROM timers_waiting WHERE state = 'failed' LIMIT {CAP + 1}) w
LEFT JOIN timers_timer_group g ON g.id = w.group_id
ORDER BY w.changed_at DESC
"""


def waiting_for_a_person(now: datetime) -> list[Finding]:
    """Report failed executions, which are kept with their payload until someone retries or dismisses them."""
    found = rows(_FAILED)
    if not found:
        return []
    kinds: dict[tuple[str, str], int] = {}
    for row in found:
        key = (row["group"] or "(deleted)", row["error"].partition("\n")[0][:200])
        kinds[key] = kinds.get(key, 0) + 1
    most = sorted(kinds.items(), key=lambda kind: -kind[1])[:10]
    return [
        Finding(
            "info",
            f"{amount(found, CAP, 'failed execution')} waiting for a person.",
            "Mend the cause, then retry or dismiss them (admin: waiting).",
            tuple({"group": group, "error": error, "executions": count} for (group, error), count in most),
        )
    ]
