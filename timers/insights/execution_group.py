"""Lookup of the group that an execution belongs to, in one query, for access checks."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from timers.database import connection
from timers.domain.execution_id import MAX_TRIES

# The ledger also knows executions with an ended attempt; a claim is found by the index over its executions.
_GROUP: Final = """
SELECT COALESCE(g.name, '') FROM (SELECT COALESCE(
    (SELECT group_id FROM timers_waiting WHERE id = %(id)s),
    (SELECT group_id FROM timers_claim WHERE executions @> ARRAY[%(id)s::uuid] LIMIT 1),
    (SELECT group_id FROM timers_attempt WHERE id = %(id)s)) AS id) e
LEFT JOIN timers_timer_group g ON g.id = e.id WHERE e.id IS NOT NULL
"""


def group_of(execution: str) -> str | None:
    """Return the name of the execution's group.

    Returns:
        Empty if the group is deleted: history outlives it, for callers who may see all groups. None if the id is not an
        execution's, or its history is deleted.
    """
    try:
        asked = UUID(execution)
    except ValueError:
        return None
    # Only the canonical form is accepted, so that clients that store ids can compare them.
    if str(asked) != execution or asked.int & MAX_TRIES:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_GROUP, {"id": asked})
        row = cursor.fetchone()
    return None if row is None else str(row[0])
