"""Cancel orders together with what they belong to: executions, timers, groups."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from timers import clock
from timers.database import connection
from timers.domain.chains import events
from timers.engine.advance import lock_timers
from timers.engine.arrays import plain_array
from timers.engine.group_clock import group_now
from timers.engine.orders.change import OrderChange
from timers.engine.orders.rows import lock_roots, lock_trees_of
from timers.models import ChainOrder

Found = tuple[str, str, int]
"""An order, the root of its tree, and its timer."""

_AMONG: Final = """
SELECT id::text, root::text, timer_id FROM timers_chain_order
WHERE id = ANY(%s::uuid[]) AND ended_at IS NULL ORDER BY id
"""
# A failed one waits for a person; one in its finally steps is already ending.
_OF_TIMER: Final = """
SELECT o.id::text, o.root::text, o.timer_id FROM timers_chain_order o
WHERE o.timer_id = %s AND o.parent IS NULL AND o.ended_at IS NULL AND NOT o.in_finally
  AND (o.state <> 'failed' OR NOT EXISTS (SELECT 1 FROM timers_waiting w WHERE w.id = o.id AND w.state = 'failed'))
ORDER BY o.id
"""
_PARKED_BRANCHES: Final = """
SELECT o.id::text, o.root::text, o.timer_id FROM timers_chain_order o JOIN timers_waiting w ON w.id = o.id
WHERE o.id = ANY(%s::uuid[]) AND o.parent IS NOT NULL AND o.ended_at IS NULL AND w.state = 'failed' ORDER BY o.id
"""
_END_OF_GROUP: Final = f"""
WITH gone AS (DELETE FROM timers_chain_order WHERE group_id = %(group)s RETURNING *),
     places AS (DELETE FROM timers_waiting w USING gone WHERE w.id = gone.id)
INSERT INTO timers_attempt (id, group_id, timer_id, name, scheduled_for, attempt, outcome, reason, origin, finished_at)
SELECT o.id, o.group_id, o.timer_id, o.name, o.created_at, o.attempts, 'cancelled', %(reason)s, 'manual',
       COALESCE({group_now("timers_now()")}, timers_now())
FROM gone o LEFT JOIN timers_timer_group g ON g.id = o.group_id
WHERE o.ended_at IS NULL
ON CONFLICT (id) DO NOTHING
"""


_TIMERS_OF: Final = """
SELECT timer_id FROM timers_waiting WHERE id = ANY(%s::uuid[])
UNION SELECT timer_id FROM timers_chain_order WHERE id = ANY(%s::uuid[]) AND ended_at IS NULL
"""
_ROOTS_OF_GROUP: Final = """
SELECT id FROM timers_chain_order WHERE group_id = %s AND parent IS NULL AND ended_at IS NULL ORDER BY id FOR UPDATE
"""


def orders_among(ids: Collection[str]) -> list[Found]:
    """Return those of the executions that are orders in progress."""
    return _find(_AMONG, plain_array(ids)) if ids else []


def cancel_orders(found: Collection[Found], reason: str) -> set[str]:
    """Cancel orders, in a transaction; return those that have ended: others run their finally steps first."""
    now = clock.now()
    ended: set[str] = set()
    # All timers before the first order, as the lock order requires.
    lock_timers(timer_id for *_, timer_id in found)
    lock_roots(root for _, root, _ in found)
    for order, root, timer_id in found:
        change = OrderChange(order, root, timer_id, now)
        change.send(events.Cancelled(reason))
        change.write()
        if change.row.order.outcome is not None:
            ended.add(order)
    return ended


def lock_before_end(executions: Collection[str]) -> None:
    """Lock the timers and the trees of waiting executions that are about to end: all of them before any place."""
    if not executions:
        return
    ids = plain_array(executions)
    with connection.cursor() as cursor:
        cursor.execute(_TIMERS_OF, (ids, ids))
        timers = [timer_id for (timer_id,) in cursor.fetchall()]
    lock_timers(timers)
    lock_trees_of(executions)


def end_parked_branches(executions: Collection[str], reason: str) -> list[str]:
    """End the parked branches and sub-chains among executions; return them.

    They are parked only if their steps could not be read. Their parents wait for them and are notified.
    """
    if not executions:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_PARKED_BRANCHES, (plain_array(executions),))
        found: list[Found] = cursor.fetchall()
    cancel_orders(found, reason)
    return [order for order, *_ in found]


def has_orders(timer_id: int) -> bool:
    """Return whether a timer has orders in progress, other than failed ones."""
    living = ChainOrder.objects.filter(timer_id=timer_id, parent=None, ended_at=None)
    return bool(living.exclude(state="failed").exists())


def lock_orders_of_timer(timer_id: int) -> set[str]:
    """Lock the orders in progress of a locked timer, before their claims as the lock order requires.

    Returns those in their finally steps, with their branches and sub-chains: they are already ending.
    """
    rows = ChainOrder.objects.filter(timer_id=timer_id, parent=None, ended_at=None).order_by("id")
    ending = [id_ for id_, in_finally in rows.select_for_update().values_list("id", "in_finally") if in_finally]
    if not ending:
        return set()
    return {str(id_) for id_ in ChainOrder.objects.filter(root__in=ending, ended_at=None).values_list("id", flat=True)}


def cancel_orders_of_timer(timer_id: int, reason: str) -> int:
    """Cancel the orders of a locked timer, including resting ones, except failed ones; return their number."""
    found = _find(_OF_TIMER, timer_id)
    cancel_orders(found, reason)
    return len(found)


def delete_orders_of_group(group_id: int, reason: str) -> None:
    """Delete the orders of a group that is being deleted; those in progress end as cancelled."""
    with connection.cursor() as cursor:
        cursor.execute(_ROOTS_OF_GROUP, (group_id,))
        cursor.execute(_END_OF_GROUP, {"group": group_id, "reason": reason})


def _find(statement: str, param: str | int) -> list[Found]:
    with connection.cursor() as cursor:
        cursor.execute(statement, (param,))
        return list(cursor.fetchall())
