"""The group that an execution belongs to, wherever it is; one look, for who may see it."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db import connection

from timers.domain.execution_id import MAX_TRIES

# The ledger also knows executions of which a try has ended; a claim is found by the index over what it holds.
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
        Empty when the group is gone: history outlives it, for those who may see all groups. None for what is no
        execution, or one whose history is gone.
    """
    try:
        asked = UUID(execution)
    except ValueError:
        return None
    # The canonical form only: whoever keeps ids must be able to compare them.
    if str(asked) != execution or asked.int & MAX_TRIES:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_GROUP, {"id": asked})
        row = cursor.fetchone()
    return None if row is None else str(row[0])
