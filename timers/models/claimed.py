"""The claimed executions of one timer, read from the claims of its group."""

from __future__ import annotations

from typing import Final

from timers.database import connection
from timers.domain.execution_id import MAX_TIMER_ID
from timers.models.timer import Timer

# Bits 18 to 61 of an execution id are the id of its timer.
CLAIMED: Final = """
SELECT e.id::text FROM timers_claim c, unnest(c.executions) AS e(id)
WHERE c.group_id = %(group)s
  AND ((('x' || right(replace(e.id::text, '-', ''), 16))::bit(64)::bigint >> 18) & %(mask)s) = %(timer)s
"""


def claimed_of(timer: Timer) -> dict[str, int]:
    """Return the parameters of CLAIMED for a timer."""
    return {"group": timer.group_id, "timer": timer.id, "mask": MAX_TIMER_ID}


def claimed_executions(timer: Timer) -> list[str]:
    """Return the ids of the timer's executions that a worker or consumer has claimed right now."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIMED, claimed_of(timer))
        return [execution for (execution,) in cursor.fetchall()]
