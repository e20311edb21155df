"""When something of a group is due next: how long a waiting consumer may sleep."""

from __future__ import annotations

from typing import Final

from timers.database import connection
from timers.engine.group_clock import group_now
from timers.models.due_index import IN_PART, PARTS

_SECONDS: Final = f"""
SELECT extract(epoch FROM least(
    (SELECT min(d.next_fire_at)
     FROM {PARTS}, LATERAL (
        SELECT t.next_fire_at FROM timers_timer t
        WHERE {IN_PART}
          AND t.next_fire_at IS NOT NULL ORDER BY t.next_fire_at LIMIT 1) d),
    (SELECT w.available_at FROM timers_waiting w WHERE w.group_id = g.id AND w.state = 'ready'
     ORDER BY w.available_at LIMIT 1)
) - {group_now("timers_now()")})::float8
FROM timers_timer_group g WHERE g.name = %s
"""


def seconds_to_next(group: str) -> float | None:
    """Return the seconds until the group's next timer or waiting execution is due; None when there is none."""
    with connection.cursor() as cursor:
        cursor.execute(_SECONDS, (group,))
        row = cursor.fetchone()
    return None if row is None or row[0] is None else float(row[0])
