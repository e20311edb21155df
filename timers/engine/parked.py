"""Parked: executions of paused broadcast subscriptions wait for the resume, in limited number."""

from __future__ import annotations

from typing import Final

from timers.database import connection
from timers.engine.arrays import plain_array
from timers.engine.execution import ServedGroup
from timers.models.subscription import MAX_PARKED

_WAITING: Final = f"""
SELECT o.ordinal, (SELECT count(*) FROM (
    SELECT 1 FROM timers_waiting w
    WHERE w.group_id = %(group)s AND w.subscription = o.ordinal AND w.state = 'ready' LIMIT {MAX_PARKED}) few)
FROM unnest(%(ordinals)s::int[]) AS o(ordinal)
"""


def room_for_parked(group: ServedGroup) -> dict[int, int]:
    """Return how many more executions may wait for each paused subscription of the group."""
    paused = [each.ordinal for each in group.subscribers if not each.is_active]
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, {"group": group.id, "ordinals": plain_array(paused)})
        return {ordinal: MAX_PARKED - count for ordinal, count in cursor.fetchall()}
