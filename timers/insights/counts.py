"""Numbers of rows: capped if rows must be counted, estimated if a table is big, and marked as such."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from timers.database import connection
from timers.models.cluster_pause import partition_is_paused
from timers.models.due_index import IN_PART, PARTS

CAP: Final = 1000
OVERDUE_AFTER: Final = timedelta(seconds=5)
"""Delay from which an active timer counts as overdue: well above a poll interval, well below a lease."""
NOT_PULLED: Final = "COALESCE(g.worker_ordinals <> '{0}', COALESCE(g.action ->> 'kind', '') <> 'pull')"
"""SQL condition that leaves out what consumers pull (of a group or of all its subscriptions): it waits for them."""


@dataclass(frozen=True, slots=True)
class Count:
    """A number that may be inexact: a `capped` one is a lower bound, an `estimated` one comes from statistics."""

    value: int
    capped: bool = False
    estimated: bool = False

    def __str__(self) -> str:
        if self.estimated:
            return f"≈ {_rounded(self.value)}"
        return f"{self.value:,}+" if self.capped else f"{self.value:,}"

    def __bool__(self) -> bool:
        return self.value > 0


@dataclass(frozen=True, slots=True)
class Waits:
    """Numbers of waiting executions: retries and runs that are ready, and failed ones that wait for a person."""

    ready: Count
    failed: Count


_WAITING = """
SELECT (SELECT count(*) FROM (SELECT 1 FROM timers_waiting WHERE state = 'ready' LIMIT %(more)s) r),
       (SELECT count(*) FROM (SELECT 1 FROM timers_waiting WHERE state = 'failed' LIMIT %(more)s) f)
"""

# One probe of each part of the due index: no index serves a search over all groups at once.
_OVERDUE = f"""
SELECT count(*) FROM (
    SELECT 1 FROM timers_timer_group g, {PARTS}, LATERAL (
        SELECT 1 FROM timers_timer t
        WHERE {IN_PART} AND t.next_fire_at < %(before)s
        LIMIT %(more)s) due
    WHERE g.state = 'active' AND NOT g.sandbox AND {NOT_PULLED} AND NOT {partition_is_paused("g.partition")}
    LIMIT %(more)s) x
"""

# Autovacuum never analyzes a partitioned parent itself, so its leaves are summed.
_ESTIMATE = """
SELECT COALESCE(sum(greatest(c.reltuples, 0)), 0)::bigint
FROM pg_partition_tree(%s::regclass) t JOIN pg_class c ON c.oid = t.relid WHERE t.isleaf
"""


def waiting() -> Waits:
    """Count the waiting executions, each number up to the cap."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, {"more": CAP + 1})
        ready, failed = cursor.fetchone()
    return Waits(_capped(ready), _capped(failed))


def overdue(now: datetime) -> Count:
    """Count active timers of active groups served by workers that are later than OVERDUE_AFTER."""
    return _one_count(_OVERDUE, {"before": now - OVERDUE_AFTER, "more": CAP + 1})


def estimated_rows(table: str) -> Count:
    """Estimate the rows of a table, including all partitions, from the statistics of the last vacuum or analyze."""
    with connection.cursor() as cursor:
        cursor.execute(_ESTIMATE, (table,))
        (rows,) = cursor.fetchone()
    return Count(rows, estimated=True)


def _one_count(statement: str, params: dict[str, Any]) -> Count:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        (found,) = cursor.fetchone()
    return _capped(found)


def _capped(found: int) -> Count:
    return Count(CAP, capped=True) if found > CAP else Count(found)


def _rounded(value: int) -> str:
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k")):
        if value >= size:
            return f"{value / (1000 if unit == 'k' else size):.3g} {unit}"
    return f"{value:,}"
