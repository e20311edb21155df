"""Priorities: which orders are claimed first when workers, or the places of a step, are short."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from django.db import connection

from timers.engine.arrays import plain_array

# What has ended, and what begins later, has no place; what begins later takes its parent's.
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
    """Set the priority of an order with its living branches and sub-chains; its tree is locked."""
    with connection.cursor() as cursor:
        cursor.execute(_SET, {"order": order, "priority": priority})


def timer_priorities(timers: Collection[int]) -> dict[int, int]:
    """The priorities of timers, where they are not 0; no query for none."""
    if not timers:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, priority FROM timers_timer WHERE id = ANY(%s::bigint[]) AND priority <> 0",
            (plain_array(timers),),
        )
        return dict(cursor.fetchall())
