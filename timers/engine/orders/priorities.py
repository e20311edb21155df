"""Priorities: which orders are claimed first when workers, or the places of a step, are scarce."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from timers.database import connection
from timers.engine.arrays import plain_array

# An ended order has no place; an order that starts later gets its parent's priority.
_SET: Final = """
WITH RECURSIVE of_order AS (
    SELECT id FROM timers_chain_order WHERE id = %(order)s
    UNION ALL
    SELECT o.id FROM of_order p JOIN timers_chain_order o ON o.parent = p.id WHERE o.ended_at IS NULL),
changed AS (
    UPDATE timers_chain_order o SET priority = %(priority)s, changed_at = timers_now()
    FROM of_order c WHERE o.id = c.id RETURNING o.id)
UPDATE timers_waiting w SET priority = %(priority)s, changed_at = timers_now() FROM changed c WHERE w.id = c.id
"""


def set_priority(order: str, priority: int) -> None:
    """Set the priority of an order and its branches and sub-chains in progress; its tree is locked."""
    with connection.cursor() as cursor:
        cursor.execute(_SET, {"order": order, "priority": priority})


def timer_priorities(timers: Collection[int]) -> dict[int, int]:
    """Return the priorities of timers, where they are not 0; no query without timers."""
    if not timers:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, priority FROM timers_timer WHERE id = ANY(%s::bigint[]) AND priority <> 0",
            (plain_array(timers),),
        )
        return dict(cursor.fetchall())
