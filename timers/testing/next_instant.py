"""The next instant at which a node may have something to do: what lies between needs no step."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from timers.schedules.instant import from_microseconds, to_microseconds

_NEXT = """
SELECT min(at) FROM (
    SELECT t.next_fire_at AS at FROM timers_timer t JOIN timers_timer_group g ON g.id = t.group_id
    WHERE t.state = 'active' AND g.state = 'active' AND g.partition = %(partition)s
      AND g.required_roles <@ %(roles)s::varchar[] AND t.next_fire_at > %(now)s
    UNION ALL
    SELECT w.available_at FROM timers_waiting w JOIN timers_timer_group g ON g.id = w.group_id
    WHERE w.state = 'ready' AND g.state = 'active' AND g.partition = %(partition)s
      AND g.required_roles <@ %(roles)s::varchar[] AND w.available_at > %(now)s
) coming
"""


def next_instant(partition: str, roles: Sequence[str], now_us: int) -> int | None:
    """The first instant after now at which a timer or an execution of the served groups is due (microseconds UTC)."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, {"partition": partition, "roles": list(roles), "now": from_microseconds(now_us)})
        (at,) = cursor.fetchone()
    return None if at is None else to_microseconds(at)
