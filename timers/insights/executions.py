"""Queries of executions: latest rows of the ledger, claims, and waiting executions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from timers.database import connection
from timers.domain.execution_id import MAX_TRIES, lower_bound
from timers.insights.ledger_order import execution_of, newest_first, rest_after, unseen_final
from timers.models import Waiting
from timers.schedules.instant import to_microseconds
from timers.schedules.lateness import lateness

_MILLISECOND: Final = 1_000
"""Microseconds: the resolution of instants in an id."""


def ran_on(node: str | None, worker: int | None) -> str:
    """Describe who ran an attempt: node/worker, or the consumer alone, which has no workers."""
    return node or "" if worker is None else f"{node}/{worker}"


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One row of the ledger: an attempt, or the final outcome of an execution."""

    id: UUID
    group_id: int
    group: str
    """Name of the group; empty if it is deleted: history outlives it."""
    timer_id: int
    name: str
    scheduled_for: datetime
    attempt: int
    outcome: str
    reason: str
    origin: str
    node: str
    worker: int | None
    started_at: datetime | None
    finished_at: datetime
    missed_count: int
    error_title: str
    jitter: float | None
    """The timer's present jitter in seconds; None: the timer is deleted."""

    @property
    def execution(self) -> UUID:
        """Id of the execution that the row belongs to."""
        return execution_of(self.id)

    @property
    def lateness_ms(self) -> float | None:
        """Milliseconds from the due instant (see schedules/lateness) to the start.

        None for executions that never began and for retries, which are late by design; also for pulled executions,
        whose consumers decide when to claim.
        """
        if self.started_at is None or self.attempt != 1 or self.worker is None:
            return None
        late = lateness(self.started_at, self.scheduled_for, origin=self.origin, name=self.name, jitter=self.jitter)
        return late.total_seconds() * 1000

    @property
    def ran_on(self) -> str:
        """Who ran the attempt: a node and its worker, or a consumer; empty if nobody did."""
        return ran_on(self.node, self.worker)

    @property
    def run_ms(self) -> float | None:
        """Run time of the attempt in milliseconds."""
        return None if self.started_at is None else (self.finished_at - self.started_at).total_seconds() * 1000


@dataclass(frozen=True, slots=True)
class HeldBatch:
    """A live claim: executions that one worker or one consumer has claimed."""

    fence: int
    group: str
    node: str
    """Name of the node, or "consumer" and its name."""
    worker: int | None
    claimed_at: datetime
    executions: int


@dataclass(frozen=True, slots=True)
class WaitingView:
    """An execution that nobody has claimed."""

    id: UUID
    group: str
    timer_id: int
    name: str
    state: str
    available_at: datetime
    attempt: int
    origin: str
    reason: str
    error_title: str
    changed_at: datetime


# The columns listed here are short; the large ones (result, traceback, log) are never read for a list.
_LATEST: Final = """
SELECT a.id, a.group_id, COALESCE(g.name, ''), a.timer_id, a.name, a.scheduled_for, a.attempt, a.outcome,
       COALESCE(a.reason, ''), a.origin, COALESCE(a.node, ''), a.worker, a.started_at, a.finished_at, a.missed_count,
       COALESCE(left(split_part(a.error_title, E'\\n', 1), 500), ''), t.jitter
FROM (SELECT * FROM timers_attempt WHERE {where} ORDER BY id DESC LIMIT %(limit)s) a
LEFT JOIN timers_timer_group g ON g.id = a.group_id LEFT JOIN timers_timer t ON t.id = a.timer_id
ORDER BY a.id DESC
"""

_HELD: Final = """
SELECT c.id, COALESCE(g.name, ''), COALESCE(n.name, 'consumer ' || c.consumer, ''), c.worker, c.claimed_at,
       cardinality(c.executions)
FROM (SELECT * FROM timers_claim ORDER BY id LIMIT %s) c
LEFT JOIN timers_timer_group g ON g.id = c.group_id LEFT JOIN timers_node n ON n.id = c.node_id ORDER BY c.id
"""


def latest(
    limit: int = 20, *, before: UUID | None = None, timer_id: int | None = None, until: datetime | None = None
) -> list[LedgerRow]:
    """Return the newest rows of the ledger by occurrence, of all timers or of one.

    Args:
        limit: Maximum number of rows.
        before: Last id of the previous page; None: the first page.
        timer_id: Id of the timer; None: all.
        until: Leave out occurrences after this instant, such as a next fire that was skipped manually.
    """
    rest = rest_after(before)
    bounds = {
        "id < %(below)s": rest.below is not None,
        "id <> %(seen)s": rest.seen is not None,
        "id < %(until)s": until is not None,
        "timer_id = %(timer_id)s": timer_id is not None,
    }
    where = " AND ".join(bound for bound, given in bounds.items() if given) or "true"
    end = None if until is None else lower_bound(to_microseconds(until) + _MILLISECOND)
    params = {"limit": limit, "below": rest.below, "seen": rest.seen, "timer_id": timer_id, "until": end}
    rows = [LedgerRow(*row) for row in _asked(_LATEST.format(where=where), params)]
    final = unseen_final([row.id for row in rows], rows[-1].id if len(rows) == limit else None, rest)
    if final is not None:
        rows += [LedgerRow(*row) for row in _asked(_LATEST.format(where="id = %(id)s"), {"id": final, "limit": 1})]
    return newest_first(rows, lambda row: row.id)[:limit]


def attempts_of(execution: UUID) -> list[LedgerRow]:
    """Return all rows of one execution in the order of its attempts, the final one last (at most 1,001)."""
    first = UUID(int=execution.int & ~MAX_TRIES)
    last = UUID(int=execution.int | MAX_TRIES)
    params = {"limit": MAX_TRIES + 1, "first": first, "last": last}
    rows = [LedgerRow(*row) for row in _asked(_LATEST.format(where="id BETWEEN %(first)s AND %(last)s"), params)]
    return sorted(rows, key=lambda row: (row.id == first, row.id.int))


def held(limit: int = 50) -> list[HeldBatch]:
    """Return what workers have claimed, the oldest claims first."""
    return [HeldBatch(*row) for row in _asked(_HELD, (limit,))]


def waiting(
    state: str, *, before: UUID | None = None, timer_id: int | None = None, limit: int = 50
) -> list[WaitingView]:
    """Return executions that wait in `state` (ready or failed), newest occurrence first.

    `before`: last id of the previous page.
    """
    rows = Waiting.objects.filter(state=state)
    if timer_id is not None:
        rows = rows.filter(timer_id=timer_id)
    if before is not None:
        rows = rows.filter(id__lt=before)
    columns = ("id", "group__name", "timer_id", "name", "state", "available_at", "attempt", "origin", "reason",
               "error_title", "changed_at")  # fmt: skip
    return [WaitingView(*row) for row in rows.order_by("-id").values_list(*columns)[:limit]]


def _asked(statement: str, params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return list(cursor.fetchall())
