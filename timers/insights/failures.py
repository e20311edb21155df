"""Failures: failed executions that wait for a person, grouped by their fault.

A bounded number of index entries is read, however many executions wait; what exceeds it is marked.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from timers.database import connection
from timers.insights.counts import Count

COUNTED: Final = 10_000
"""Maximum number of executions counted per fault and group."""
MOST_PAIRS: Final = 2_000
"""Maximum number of pairs of fault and group that are read."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One fault and the executions that failed because of it."""

    fingerprint: str
    """Fingerprint of the fault; empty for executions whose last attempt left no error."""
    title: str
    """Error title of the newest execution."""
    count: Count
    groups: tuple[str, ...]
    oldest: datetime
    """When the first of the waiting executions failed, by the database clock."""
    newest: datetime
    example: UUID
    """The newest execution."""


@dataclass(frozen=True, slots=True)
class Failures:
    """The faults, ordered by their number of executions, largest first."""

    failures: list[Failure]
    more: bool
    """Whether there are more faults than listed."""


# Skips from one pair to the next by the index, one probe each; then reads each pair's entries, up to the count limit.
_PAIRS: Final = """
WITH RECURSIVE pair AS (
    (SELECT w.error_fingerprint AS fingerprint, w.group_id FROM timers_waiting w
     WHERE w.state = 'failed' AND w.error_fingerprint IS NOT NULL
     ORDER BY w.error_fingerprint, w.group_id LIMIT 1)
    UNION ALL
    SELECT n.fingerprint, n.group_id FROM pair p, LATERAL (
        SELECT w.error_fingerprint AS fingerprint, w.group_id FROM timers_waiting w
        WHERE w.state = 'failed' AND (w.error_fingerprint, w.group_id) > (p.fingerprint, p.group_id)
        ORDER BY w.error_fingerprint, w.group_id LIMIT 1) n)
SELECT fingerprint, group_id FROM pair LIMIT %(most)s
"""

_BARE_GROUPS: Final = """
SELECT NULL AS fingerprint, g.id AS group_id FROM timers_timer_group g
WHERE EXISTS (SELECT 1 FROM timers_waiting w
              WHERE w.state = 'failed' AND w.error_fingerprint IS NULL AND w.group_id = g.id) LIMIT %(most)s
"""

_FIGURES: Final = """
SELECT p.fingerprint, g.name, c.number, f.entry, l.entry FROM ({pairs}) p
JOIN timers_timer_group g ON g.id = p.group_id
CROSS JOIN LATERAL (SELECT count(*) AS number FROM (
    SELECT 1 FROM timers_waiting w WHERE {same} LIMIT %(counted)s) x) c
CROSS JOIN LATERAL (SELECT w.entry FROM timers_waiting w WHERE {same} ORDER BY w.entry LIMIT 1) f
CROSS JOIN LATERAL (SELECT w.entry FROM timers_waiting w WHERE {same} ORDER BY w.entry DESC LIMIT 1) l
WHERE %(groups)s::text[] IS NULL OR g.name = ANY(%(groups)s::text[])
"""

_SAME: Final = "w.state = 'failed' AND w.error_fingerprint = p.fingerprint AND w.group_id = p.group_id"
_SAME_BARE: Final = "w.state = 'failed' AND w.error_fingerprint IS NULL AND w.group_id = p.group_id"

_ROWS: Final = """
SELECT w.entry, w.id, w.changed_at,
       left(split_part(COALESCE(NULLIF(w.error_title, ''), w.reason), E'\\n', 1), 500)
FROM timers_waiting w WHERE w.state = 'failed' AND w.entry = ANY(%(entries)s::bigint[])
"""


@dataclass(slots=True)
class _Fault:
    """Totals of one fingerprint over its groups."""

    count: int
    capped: bool
    groups: list[str]
    first: int
    last: int


def failures(groups: Collection[str] | None = None, *, limit: int = 200) -> Failures:
    """Return up to `limit` faults of failed executions that wait for a person.

    `groups`: names of the groups that the caller may see; None: all.
    """
    params = {
        "most": MOST_PAIRS + 1,
        "counted": COUNTED + 1,
        "groups": None if groups is None else sorted(groups),
    }
    rows = _asked(_FIGURES.format(pairs=_PAIRS, same=_SAME), params)
    rows += _asked(_FIGURES.format(pairs=_BARE_GROUPS, same=_SAME_BARE), params)
    faults: dict[str, _Fault] = {}
    for fingerprint, group, number, first, last in rows:
        fault = faults.setdefault(fingerprint or "", _Fault(0, False, [], first, last))
        fault.count += min(number, COUNTED)
        fault.capped |= number > COUNTED
        fault.groups.append(group)
        fault.first, fault.last = min(fault.first, first), max(fault.last, last)
    most = sorted(faults.items(), key=lambda item: (-item[1].count, -item[1].last))[:limit]
    entries = [entry for _, fault in most for entry in (fault.first, fault.last)]
    told = {entry: (execution, at, title) for entry, execution, at, title in _asked(_ROWS, {"entries": entries})}
    found = [
        Failure(
            fingerprint,
            title=told[fault.last][2],
            count=Count(fault.count, capped=fault.capped),
            groups=tuple(sorted(fault.groups)),
            oldest=told[fault.first][1],
            newest=told[fault.last][1],
            example=told[fault.last][0],
        )
        for fingerprint, fault in most
        # It may have been retried between two statements.
        if fault.first in told and fault.last in told
    ]
    return Failures(found, more=len(faults) > limit or len(rows) > MOST_PAIRS)


def _asked(statement: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return list(cursor.fetchall())
