"""Checks of the ledger's partitions: one for each day, created in advance."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from timers.domain.execution_id import lower_bound
from timers.insights.counts import CAP
from timers.insights.doctor.finding import Finding, amount, rows, shown
from timers.schedules.instant import to_microseconds

DEFAULT: Final = "timers_attempt_default"
MAKES_THEM: Final = "Any living node makes them, once an hour: start one, or look for 'partition' in its log."

_BOUNDS: Final = """
SELECT pg_get_expr(c.relpartbound, c.oid) AS bounds FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'timers_attempt'::regclass
"""


def missing_partitions(now: datetime) -> list[Finding]:
    """Report missing partitions for rows of today and tomorrow."""
    bounds = [row["bounds"].split("'") for row in rows(_BOUNDS)]
    spans = [(parts[1], parts[3]) for parts in bounds if len(parts) == 5]
    missing = []
    for word, instant in (("today", now), ("tomorrow", now + timedelta(days=1))):
        first = lower_bound(to_microseconds(instant))
        if not any(low <= first < high for low, high in spans):
            missing.append(word)
    if not missing:
        return []
    return [
        Finding(
            "error" if "today" in missing else "warning",
            f"The ledger has no partition for {' and '.join(missing)}: rows go to the DEFAULT one.",
            MAKES_THEM,
        )
    ]


_STRAYS: Final = f"""
SELECT id, name AS timer, scheduled_for, outcome FROM {DEFAULT}
WHERE id >= %(recent)s AND id < %(ahead)s ORDER BY id LIMIT {CAP + 1}
"""


def strays(now: datetime) -> list[Finding]:
    """Report recent rows in the DEFAULT partition. What fires long after its instant goes there by design."""
    found = rows(
        _STRAYS,
        {
            "recent": lower_bound(to_microseconds(now - timedelta(days=1))),
            "ahead": lower_bound(to_microseconds(now + timedelta(days=1))),
        },
    )
    if not found:
        return []
    return [
        Finding(
            "warning",
            f"{amount(found, CAP, 'row')} of these days in the ledger's DEFAULT partition: their own was missing.",
            MAKES_THEM + " Rows are moved when their partition is made.",
            shown(found),
        )
    ]
