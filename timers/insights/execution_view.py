"""ExecutionView: an execution in one line, wherever it is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from timers.database import connection
from timers.domain.execution_id import parse
from timers.insights.ledger_order import execution_of, newest_first
from timers.models import Attempt
from timers.schedules.instant import from_microseconds
from timers.schedules.lateness import lateness


@dataclass(frozen=True, slots=True)
class ExecutionView:
    """A claimed or waiting execution, or one row of the ledger. What its place does not record is None or ""."""

    row_id: UUID
    """Id of the row: the execution's, except for a ledger row of an attempt that was retried. Lists are paged by it."""
    group_id: int
    group: str
    """Name of the group; empty if it is deleted: history outlives it."""
    timer_id: int
    timer: str
    state: str
    """Present state of the execution: claimed, ready, queued, blocked or failed; or its final outcome. For an order
    that is waiting: at_stopped, joining, suspended or awaiting."""
    origin: str
    attempt: int
    """Number of the attempt; for a waiting execution, the number of attempts so far."""
    node: str
    worker: int | None
    claimed_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    missed_count: int
    available_at: datetime | None
    """When the execution may be claimed again, by its group's clock."""
    changed_at: datetime | None
    """Since when it has been in this state (for a failed one: when it failed), by the database clock."""
    reason: str
    error: str
    """First line of the error, 500 characters at most."""
    fingerprint: str
    outcome: str = ""
    """For a ledger row: outcome of this attempt, or of the execution."""
    jitter: float | None = None
    """For a ledger row: the timer's present jitter in seconds; None: the timer is deleted."""

    @property
    def id(self) -> UUID:
        """Id of the execution."""
        return execution_of(self.row_id)

    @property
    def scheduled_for(self) -> datetime:
        """Nominal instant of the execution, by its group's clock."""
        return from_microseconds(parse(str(self.row_id)).scheduled_us)

    @property
    def lateness(self) -> float | None:
        """Seconds from the due instant (see schedules/lateness) to the start in a worker.

        None for executions that have not begun, and for retries. Also None for pulled executions: when a consumer
        claims is not the service's lateness.
        """
        if self.started_at is None or self.attempt != 1 or self.worker is None:
            return None
        late = lateness(self.started_at, self.scheduled_for, origin=self.origin, name=self.timer, jitter=self.jitter)
        return late.total_seconds()

    @property
    def run_time(self) -> float | None:
        """Run time of the attempt in seconds."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


_FIRST_LINE: Final = "COALESCE(left(split_part({}, E'\\n', 1), 500), '')"
_ERROR: Final = _FIRST_LINE.format("r.error_title")
_REASON: Final = _FIRST_LINE.format("r.reason")

_LEDGER: Final = f"""
SELECT r.id, r.group_id, COALESCE(g.name, ''), r.timer_id, r.name, r.outcome, r.origin, r.attempt, COALESCE(r.node, ''),
       r.worker, r.claimed_at, r.started_at, r.finished_at, r.missed_count, NULL, NULL, {_REASON},
       {_ERROR}, COALESCE(r.error_fingerprint, ''), r.outcome, t.jitter
FROM timers_attempt r LEFT JOIN timers_timer_group g ON g.id = r.group_id
LEFT JOIN timers_timer t ON t.id = r.timer_id
WHERE r.id = ANY(%s::uuid[]) ORDER BY r.id DESC
"""

_WAITING: Final = f"""
SELECT r.id, r.group_id, COALESCE(g.name, ''), r.timer_id, r.name, r.state, r.origin, r.attempt, '',
       NULL, NULL, NULL, NULL, r.missed_count, CASE WHEN r.state <> 'failed' THEN r.available_at END, r.changed_at,
       {_REASON}, {_ERROR}, COALESCE(r.error_fingerprint, '')
FROM timers_waiting r LEFT JOIN timers_timer_group g ON g.id = r.group_id
WHERE r.id = ANY(%s::uuid[]) ORDER BY r.id DESC
"""

_RESTING: Final = f"""
SELECT r.id, r.group_id, COALESCE(g.name, ''), r.timer_id, r.name, r.state, '', r.attempts, '',
       NULL, NULL, NULL, NULL, 0, r.available_at, r.changed_at, {_REASON}, '', ''
FROM timers_chain_order r LEFT JOIN timers_timer_group g ON g.id = r.group_id
WHERE r.id = ANY(%s::uuid[]) AND r.ended_at IS NULL ORDER BY r.id DESC
"""

# Bits 18 to 61 of an execution id are the id of its timer.
_CLAIMED: Final = f"""
SELECT e.id, c.group_id, COALESCE(g.name, ''), e.timer_id, COALESCE(t.name, ''), 'claimed', '',
       COALESCE((c.details -> e.id::text ->> 'tried')::int, 0) + 1,
       COALESCE(n.name, 'consumer ' || c.consumer, ''), c.worker, c.claimed_at, NULL, NULL,
       COALESCE((c.details -> e.id::text ->> 'missed_count')::int, 0), NULL, NULL, '', '', ''
FROM timers_claim c
CROSS JOIN LATERAL (
    SELECT x.id, (('x' || right(replace(x.id::text, '-', ''), 16))::bit(64)::bigint >> 18) & {(1 << 44) - 1} AS timer_id
    FROM unnest(c.executions) AS x(id)) e
LEFT JOIN timers_timer_group g ON g.id = c.group_id LEFT JOIN timers_node n ON n.id = c.node_id
LEFT JOIN timers_timer t ON t.id = e.timer_id
WHERE {{where}} ORDER BY e.id DESC LIMIT %(limit)s
"""


def ledger_views(ids: Sequence[UUID]) -> list[ExecutionView]:
    """Return rows of the ledger, newest first."""
    if not ids:
        return []
    views = newest_first(_asked(_LEDGER, (list(ids),)), lambda view: view.row_id)
    states = _states_now({view.id for view in views if view.outcome in Attempt.NOT_FINAL})
    return [replace(view, state=states.get(view.id) or view.outcome) for view in views]


# One statement, so one snapshot: an execution that moves from one place to another is seen in one of them.
_NOW: Final = """
SELECT e.id, COALESCE(
    (SELECT a.outcome FROM timers_attempt a WHERE a.id = e.id),
    (SELECT w.state FROM timers_waiting w WHERE w.id = e.id),
    CASE WHEN EXISTS (SELECT 1 FROM timers_claim c WHERE c.executions @> ARRAY[e.id]) THEN 'claimed' END,
    (SELECT o.state FROM timers_chain_order o WHERE o.id = e.id AND o.ended_at IS NULL))
FROM unnest(%s::uuid[]) AS e(id)
"""


def _states_now(executions: Collection[UUID]) -> dict[UUID, str | None]:
    """Return the states of executions; None for one whose final row is no longer kept."""
    if not executions:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_NOW, (list(executions),))
        return dict(cursor.fetchall())


def waiting_views(ids: Sequence[UUID]) -> list[ExecutionView]:
    """Return waiting executions, newest first."""
    return _asked(_WAITING, (list(ids),)) if ids else []


def resting_views(ids: Sequence[UUID]) -> list[ExecutionView]:
    """Return active orders of chains as executions, newest first, for those neither waiting nor claimed."""
    return _asked(_RESTING, (list(ids),)) if ids else []


def claimed_views(where: str, params: dict[str, Any], limit: int) -> list[ExecutionView]:
    """Return claimed executions, newest first, that meet an SQL condition over claims (c), executions (e) and nodes
    (n)."""
    return _asked(_CLAIMED.format(where=where), {**params, "limit": limit})


def _asked(statement: str, params: Any) -> list[ExecutionView]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        views = []
        for row in cursor.fetchall():
            values = list(row)
            values[6] = values[6] or parse(str(row[0])).origin
            views.append(ExecutionView(*values))
        return views
