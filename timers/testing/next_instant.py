"""The next instant at which a node may have something to do; the time before it needs no step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from timers.database import connection
from timers.engine.group_clock import group_now
from timers.schedules.instant import from_microseconds, to_microseconds

# A sandbox's instants are converted to the database's clock; those of a frozen sandbox never come by waiting.
_NEXT: Final = f"""
WITH served AS (
    SELECT g.id, g.state, g.paused_until, {group_now("%(now)s::timestamptz")} AS now,
           {group_now("%(now)s::timestamptz")} - %(now)s AS ahead
    FROM timers_timer_group g
    WHERE g.partition = %(partition)s AND g.required_roles <@ %(roles)s::varchar[] AND g.clock_frozen_at IS NULL
)
SELECT min(at) FROM (
    SELECT t.next_fire_at - s.ahead AS at FROM timers_timer t JOIN served s ON s.id = t.group_id
    WHERE s.state = 'active' AND t.state = 'active' AND t.next_fire_at > s.now
    UNION ALL
    SELECT t.paused_until - s.ahead FROM timers_timer t JOIN served s ON s.id = t.group_id
    WHERE t.state = 'paused' AND t.paused_until > s.now
    UNION ALL
    SELECT w.available_at - s.ahead FROM timers_waiting w JOIN served s ON s.id = w.group_id
    WHERE s.state = 'active' AND w.state = 'ready' AND w.available_at > s.now
    UNION ALL
    SELECT o.deadline_at - s.ahead FROM timers_chain_order o JOIN served s ON s.id = o.group_id
    WHERE o.deadline_at > s.now
    UNION ALL
    SELECT s.paused_until - s.ahead FROM served s WHERE s.state = 'paused' AND s.paused_until > s.now
) coming
"""


def next_instant(partition: str, roles: Sequence[str], now_us: int) -> int | None:
    """Return the first instant after now at which the served groups have something due; None if there is none.

    That is the instant of a timer or execution, the end of a pause or an order's deadline.

    Args:
        partition: partition of the node.
        roles: roles of the node.
        now_us: current time of the database, in microseconds since 1970 UTC; the result has the same unit.
    """
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, {"partition": partition, "roles": list(roles), "now": from_microseconds(now_us)})
        (at,) = cursor.fetchone()
    return None if at is None else to_microseconds(at)
