"""OrderView: an order of a chain, or one branch of it, in one line."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from timers.database import connection

# A running step has no row in waiting: whether its order is claimed is read from the claims, by an index.
_VIEWS: Final = """
SELECT o.id, o.root, o.parent, g.name, o.group_id, COALESCE(c.name, ''), v.version, o.timer_id, o.name, o.step,
       CASE WHEN o.state IN ('ready', 'waiting', 'at_limit', 'locked') AND held.id IS NOT NULL THEN 'claimed'
            ELSE o.state END,
       o.reason, COALESCE(o.outcome, ''), o.branch_of, COALESCE(o.branch_name, o.branch_index::text), o.priority,
       o.attempts, o.setbacks, o.is_suspend_requested, o.in_finally, o.available_at, o.deadline_at, o.created_at,
       o.changed_at, o.ended_at, COALESCE(held.node, '')
FROM timers_chain_order o JOIN timers_timer_group g ON g.id = o.group_id
LEFT JOIN timers_chain c ON c.id = o.chain_id LEFT JOIN timers_chain_version v ON v.id = o.version_id
LEFT JOIN LATERAL (
    SELECT l.id, COALESCE(n.name, l.consumer) AS node FROM timers_claim l LEFT JOIN timers_node n ON n.id = l.node_id
    WHERE o.ended_at IS NULL AND l.executions @> ARRAY[o.id] LIMIT 1) held ON true
WHERE o.id = ANY(%s::uuid[]) ORDER BY o.id DESC
"""


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order, or one of its branches or sub-chains. What does not apply is None or ""."""

    id: UUID
    """Id of the execution."""
    root: UUID
    """Id of the root order; its own id if it is the root."""
    parent: UUID | None
    group: str
    group_id: int
    chain: str
    """Name of the chain; empty if it has been deleted."""
    version: int | None
    timer_id: int
    name: str
    """Name of its timer."""
    step: str
    state: str
    """State as in timers/domain/chains/order.py: ready, claimed, waiting, at_stopped, ... failed, ended."""
    reason: str
    outcome: str
    """succeeded, failed or cancelled, if it has ended."""
    branch_of: str | None
    """Fork or map that began it."""
    branch: str | None
    """Name of a fork's branch, or index of a map's element."""
    priority: int
    attempts: int
    setbacks: int
    is_suspend_requested: bool
    in_finally: bool
    available_at: datetime | None
    deadline_at: datetime | None
    created_at: datetime | None
    changed_at: datetime | None
    ended_at: datetime | None
    node: str = ""
    """Node or consumer that runs its step."""


def order_views(ids: Collection[UUID] | Sequence[str]) -> list[OrderView]:
    """Read these orders in one query, newest first; orders that do not exist are left out."""
    if not ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_VIEWS, ([str(each) for each in ids],))
        return [OrderView(*row) for row in cursor.fetchall()]


def missing_order(**fields: Any) -> OrderView:
    """Build the view of an order that has no row yet: its timer has not fired, or it is about to begin."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("parent", "version", "branch_of", "branch", "available_at", "deadline_at", "created_at", "changed_at",
         "ended_at")
    )  # fmt: skip
    plain = {"step": "", "reason": "", "outcome": "", "priority": 0, "attempts": 0, "setbacks": 0}
    return OrderView(**{**nothing, **plain, "is_suspend_requested": False, "in_finally": False, **fields})
