"""Check for fired executions that are nowhere: neither claimed nor waiting nor in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from timers import conf
from timers.domain.execution_id import execution_id
from timers.insights.counts import CAP
from timers.insights.doctor.finding import Finding, amount, rows, shown
from timers.insights.doctor.places import NEXT_TIMERS, REPORT_IT
from timers.models import Attempt
from timers.models.due_index import IN_PART, PARTS
from timers.schedules.instant import to_microseconds

NEWEST_TIMERS: Final = 10_000
"""Number of newest timers that are checked, in addition to the next ones."""
_LAST_ID: Final = (1 << 18) - 1
"""Mask of the low id bits in which subscriptions and attempts of an occurrence differ."""

# Only occurrences whose history must still exist: the day at whose end it may be dropped is left out.
_FIRED: Final = f"""
SELECT g.name AS "group", t.name AS timer, t.id, t.last_fire_at
FROM (
    SELECT n.id, n.group_id, n.name, n.last_fire_at FROM
        (SELECT id, group_id, name, last_fire_at FROM timers_timer ORDER BY id DESC LIMIT {NEWEST_TIMERS}) n
    UNION
    SELECT due.id, due.group_id, due.name, due.last_fire_at
    FROM timers_timer_group g CROSS JOIN {PARTS} CROSS JOIN LATERAL (
        SELECT t.* FROM timers_timer t WHERE {IN_PART} ORDER BY t.next_fire_at LIMIT {NEXT_TIMERS}) due
) t JOIN timers_timer_group g ON g.id = t.group_id
WHERE NOT g.sandbox AND t.last_fire_at <= %(now)s
  AND t.last_fire_at >= %(today)s - (COALESCE(g.retention, %(retention)s) - 1) * INTERVAL '1 day'
"""
_ENDED: Final = """
EXISTS (SELECT 1 FROM timers_attempt a WHERE a.id BETWEEN f.low AND f.high AND a.outcome = ANY(%(final)s))
"""
_NOT_ENDED: Final = f"""
SELECT f.low FROM unnest(%(lows)s::uuid[], %(highs)s::uuid[]) AS f(low, high) WHERE NOT {_ENDED} LIMIT {CAP + 1}
"""
# One statement, so one snapshot: an execution that moves from one place to another is seen in one of them.
_NOWHERE: Final = f"""
SELECT f.low FROM unnest(%(lows)s::uuid[], %(highs)s::uuid[]) AS f(low, high)
WHERE NOT {_ENDED}
  AND NOT EXISTS (SELECT 1 FROM timers_waiting w WHERE w.id BETWEEN f.low AND f.high)
  AND NOT EXISTS (SELECT 1 FROM timers_claim c, unnest(c.executions) AS e(id) WHERE e.id BETWEEN f.low AND f.high)
  AND NOT EXISTS (SELECT 1 FROM timers_chain_order o WHERE o.id BETWEEN f.low AND f.high AND o.ended_at IS NULL)
"""


def fired_without_a_trace(now: datetime) -> list[Finding]:
    """Report timers whose last fire is neither claimed nor waiting and has no final row, within the retention."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    fired = rows(_FIRED, {"now": now, "today": today, "retention": conf.current().retention})
    by_id = {execution_id(to_microseconds(row["last_fire_at"]), row["id"]): row for row in fired}
    found = [by_id[each] for each in _left(_NOWHERE, _left(_NOT_ENDED, list(by_id)))]
    if not found:
        return []
    for row in found:
        row["execution"] = execution_id(to_microseconds(row["last_fire_at"]), row["id"])
    return [
        Finding(
            "error",
            f"{amount(found, CAP, 'timer')} with a fire that left no trace: it is not claimed, does not wait, and the"
            " ledger has no outcome of it.",
            "Whether it ran is not known: look into what it does, and run it again with fire_timer if it must. "
            + REPORT_IT,
            shown(found, "group", "timer", "last_fire_at", "execution"),
        )
    ]


def _left(statement: str, executions: Sequence[str]) -> list[str]:
    """Return the occurrences for which the statement finds nothing."""
    if not executions:
        return []
    params: dict[str, Any] = {
        "lows": list(executions),
        "highs": [f"{each[:31]}{int(each[31:], 16) | _LAST_ID:05x}" for each in executions],
        "final": list(Attempt.FINAL),
    }
    return [str(row["low"]) for row in rows(statement, params)]
