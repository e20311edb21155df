"""Queries of locks that chains share: capacity, orders that hold them, and orders that wait for them.

A hold counts while its claim is live. Waiting orders are read along an index, a bounded number for each lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from timers.database import connection
from timers.exceptions import TimerNotFound
from timers.insights.counts import CAP, Count
from timers.models import ChainLock, TimerGroup

LISTED: Final = 100
"""Maximum number of orders that one result lists as holders, and the same of waiting ones."""

_SCOPE: Final = "'lock:' || timers_chain_lock.group_id || '/' || timers_chain_lock.name"
_IS_LIVE: Final = "EXISTS (SELECT 1 FROM timers_claim c WHERE c.id = h.fence AND h.order_id = ANY(c.executions))"
HELD: Final = f"(SELECT count(*) FROM timers_order_hold h WHERE h.scope = {_SCOPE} AND {_IS_LIVE})"
"""SQL: number of orders that hold a lock, for a query of timers_chain_lock."""
WAITING: Final = f"""
(SELECT count(*) FROM (SELECT 1 FROM timers_waiting w WHERE w.blocked_on = {_SCOPE} LIMIT {CAP} + 1) m)
"""
"""SQL: number of orders that wait for the lock, at most one more than are counted."""
_LOCKS: Final = f"""
SELECT timers_chain_lock.id, g.name, timers_chain_lock.name, capacity, {HELD}, {WAITING}
FROM timers_chain_lock JOIN timers_timer_group g ON g.id = group_id
WHERE timers_chain_lock.id = ANY(%s) ORDER BY g.name, timers_chain_lock.name
"""
_HOLDERS: Final = f"""
SELECT o.id, o.name, COALESCE(ch.name, ''), o.step, c.claimed_at, COALESCE(n.name, c.consumer, '')
FROM timers_chain_lock JOIN timers_order_hold h ON h.scope = {_SCOPE}
JOIN timers_claim c ON c.id = h.fence AND h.order_id = ANY(c.executions)
JOIN timers_chain_order o ON o.id = h.order_id
LEFT JOIN timers_chain ch ON ch.id = o.chain_id LEFT JOIN timers_node n ON n.id = c.node_id
WHERE timers_chain_lock.id = %s ORDER BY c.claimed_at, o.id LIMIT {LISTED}
"""
_WAITERS: Final = f"""
SELECT o.id, o.name, COALESCE(ch.name, ''), o.step, w.changed_at, ''
FROM timers_chain_lock CROSS JOIN LATERAL (
    SELECT id, changed_at, priority, available_at, entry FROM timers_waiting WHERE blocked_on = {_SCOPE}
    ORDER BY priority DESC, available_at, entry LIMIT {LISTED}) w
JOIN timers_chain_order o ON o.id = w.id LEFT JOIN timers_chain ch ON ch.id = o.chain_id
WHERE timers_chain_lock.id = %s ORDER BY w.priority DESC, w.available_at, w.entry
"""


@dataclass(frozen=True, slots=True)
class LockView:
    """A lock in one line."""

    id: int
    group: str
    name: str
    capacity: int
    held: int
    """Orders that hold it now. More than `capacity` only after the capacity was reduced."""
    waiting: Count
    """Orders that wait for it."""


@dataclass(frozen=True, slots=True)
class AtLock:
    """An order that holds a lock or waits for it."""

    order: UUID
    name: str
    """Name of its timer."""
    chain: str
    step: str
    since: datetime
    """When its step was claimed; for a waiting order: since when it waits."""
    node: str
    """Node that runs its step; empty for a waiting order."""


@dataclass(frozen=True, slots=True)
class LockDetail:
    """A lock with up to LISTED holders and up to LISTED waiting orders."""

    lock: LockView
    holders: Sequence[AtLock]
    waiters: Sequence[AtLock]
    """Waiting orders, the next one first."""


def find_locks(group: str) -> list[LockView]:
    """Return the locks of a group by name. Raises TimerNotFound if the group does not exist."""
    row = TimerGroup.objects.filter(name=group).first()
    if row is None:
        raise TimerNotFound(f"there is no group {group!r}")
    return lock_views(ChainLock.objects.filter(group=row).values_list("id", flat=True))


def get_lock(group: str, name: str) -> LockDetail:
    """Return one lock with the orders that hold it and wait for it. Raises TimerNotFound."""
    row = ChainLock.objects.filter(group__name=group, name=name).first()
    found = [] if row is None else lock_views([row.pk])
    if not found:
        raise TimerNotFound(f"group {group!r} has no lock {name!r}")
    return LockDetail(found[0], _at(_HOLDERS, found[0].id), _at(_WAITERS, found[0].id))


def lock_views(ids: Any) -> list[LockView]:
    """Return locks by group and name, in one query. `ids`: ids of ChainLock."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCKS, (list(ids),))
        return [
            LockView(id_, group, name, capacity, held, counted(waiting))
            for id_, group, name, capacity, held, waiting in cursor.fetchall()
        ]


def counted(waiting: int) -> Count:
    """Convert the value of WAITING to a count."""
    return Count(min(waiting, CAP), capped=waiting > CAP)


def _at(statement: str, lock: int) -> list[AtLock]:
    with connection.cursor() as cursor:
        cursor.execute(statement, (lock,))
        return [AtLock(*row) for row in cursor.fetchall()]
