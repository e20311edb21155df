"""Overview of groups: active, overdue, ready and failed numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from timers.database import connection
from timers.insights.counts import CAP, NOT_PULLED, OVERDUE_AFTER, Count
from timers.models.cluster_pause import is_paused, partition_is_paused
from timers.models.due_index import IN_PART, PARTS


@dataclass(frozen=True, slots=True)
class GroupView:
    """One group; each number is counted up to the cap."""

    id: int
    name: str
    state: str
    partition: str
    priority: int
    active: Count
    """Timers that will fire."""
    overdue: Count
    """Active timers later than OVERDUE_AFTER; those that consumers pull count as ready instead. None while the group or
    its partition is paused."""
    ready: Count
    """Executions ready to be claimed, including due timers that wait for a consumer."""
    failed: Count
    """Failed executions that wait for a person."""
    next_fire_at: datetime | None
    """Instant of the next fire; None while the group, its partition or the cluster is paused."""


# Each number is a bounded probe of an index; a big group costs no more than a small one.
_GROUPS: Final = f"""
SELECT g.id, g.name, g.state, g.partition, g.priority, a.active, o.overdue, r.ready, f.failed, n.next_fire_at
FROM (SELECT * FROM timers_timer_group ORDER BY name LIMIT %(limit)s) g
CROSS JOIN LATERAL (SELECT count(*) AS active FROM (
    SELECT 1 FROM {PARTS}, LATERAL (
        SELECT 1 FROM timers_timer t WHERE {IN_PART}
        LIMIT %(more)s) one LIMIT %(more)s) x) a
CROSS JOIN LATERAL (SELECT count(*) AS overdue FROM (
    SELECT 1 FROM {PARTS}, LATERAL (
        SELECT 1 FROM timers_timer t WHERE {IN_PART}
          AND t.next_fire_at < %(before)s AND g.state = 'active' AND NOT g.sandbox AND {NOT_PULLED}
          AND NOT {partition_is_paused("g.partition")}
          LIMIT %(more)s) one LIMIT %(more)s) x) o
CROSS JOIN LATERAL (SELECT min(one.next_fire_at) AS next_fire_at FROM {PARTS},
    LATERAL (SELECT t.next_fire_at FROM timers_timer t WHERE {IN_PART}
               AND g.state = 'active' AND NOT {is_paused("g.partition")}
               AND t.next_fire_at IS NOT NULL ORDER BY t.next_fire_at LIMIT 1) one) n
CROSS JOIN LATERAL (SELECT count(*) AS ready FROM (
    (SELECT 1 FROM timers_waiting w WHERE w.group_id = g.id AND w.state = 'ready' LIMIT %(more)s)
    UNION ALL
    (SELECT 1 FROM {PARTS}, LATERAL (
        SELECT 1 FROM timers_timer t WHERE {IN_PART}
          AND t.next_fire_at < %(now)s AND NOT g.sandbox AND NOT {NOT_PULLED} LIMIT %(more)s) one LIMIT %(more)s)
    ) x) r
CROSS JOIN LATERAL (SELECT count(*) AS failed FROM (
    SELECT 1 FROM timers_waiting w WHERE w.group_id = g.id AND w.state = 'failed' LIMIT %(more)s) x) f
ORDER BY g.name
"""


def groups(now: datetime, *, limit: int = 1000) -> list[GroupView]:
    """Return up to `limit` groups by name."""
    with connection.cursor() as cursor:
        cursor.execute(
            _GROUPS,
            {"limit": limit, "more": CAP + 1, "now": now, "before": now - OVERDUE_AFTER},
        )
        rows = cursor.fetchall()
    return [
        GroupView(*row[:5], *(_capped(number) for number in row[5:9]), next_fire_at=row[9])  # type: ignore[misc]
        for row in rows
    ]


def _capped(found: int) -> Count:
    return Count(CAP, capped=True) if found > CAP else Count(found)
