"""Holds: how many orders run a step at once (max_orders), and which orders hold which lock, in the whole cluster.

A place is held by a row that names the claim. It counts while that claim exists and contains the order, so the places
of a dead node are free as soon as its claims are rescued, and there is no counter that could be wrong. An order that
finds no place is blocked: it waits for the first place that is missing, and becomes ready when such a place is
released.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from timers import clock
from timers.database import connection
from timers.engine.arrays import plain_array, text_array
from timers.engine.execution import Execution
from timers.engine.orders.capacities import capacities_now, lock_scope
from timers.engine.wakeup import wake_if_soon

HAS_BLOCKED: Final = "EXISTS (SELECT 1 FROM timers_waiting b WHERE b.blocked_on IS NOT NULL)"
"""SQL: whether any order waits for a place."""

_CLASS: Final = 0x6F726465
"""First key of advisory locks; the second is a hash of the scope. Two scopes with one hash only wait for each other."""
_TRY_LOCK: Final = "SELECT s FROM unnest(%s::text[]) AS s WHERE pg_try_advisory_xact_lock(%s, hashtext(s))"
_LOCK: Final = """
SELECT pg_advisory_xact_lock(%s, h) FROM (SELECT DISTINCT hashtext(s) AS h FROM unnest(%s::text[]) AS s ORDER BY 1) o
"""
_IS_LIVE: Final = """
EXISTS (SELECT 1 FROM timers_claim c WHERE c.id = h.fence AND h.order_id = ANY(c.executions))
"""
_FORGET: Final = f"DELETE FROM timers_order_hold h WHERE h.scope = ANY(%s) AND NOT {_IS_LIVE}"
_COUNT: Final = "SELECT scope, count(*) FROM timers_order_hold WHERE scope = ANY(%s) GROUP BY scope"
_INSERT: Final = """
INSERT INTO timers_order_hold (scope, order_id, fence) SELECT * FROM unnest(%s::text[], %s::uuid[], %s::bigint[])
"""
_BLOCK: Final = """
UPDATE timers_waiting w SET state = 'blocked', blocked_on = u.scope, blocked_capacity = u.capacity,
       changed_at = timers_now()
FROM unnest(%s::uuid[], %s::text[], %s::int[]) AS u(id, scope, capacity) WHERE w.id = u.id
"""
# Only the rows of these claims: another session may be deleting the rows that dead claims left of an order, while it
# has the lock of the scope that this session requests next.
_GIVE_BACK: Final = """
DELETE FROM timers_order_hold h USING unnest(%s::uuid[], %s::bigint[]) AS u(order_id, fence)
WHERE h.order_id = u.order_id AND h.fence = u.fence RETURNING h.scope
"""
_UNBLOCK: Final = """
WITH chosen AS MATERIALIZED (
    SELECT b.id FROM unnest(%s::text[], %s::int[]) AS u(scope, free) CROSS JOIN LATERAL (
        SELECT id FROM timers_waiting WHERE blocked_on = u.scope ORDER BY priority DESC, available_at, entry
        LIMIT GREATEST(u.free, 0) FOR UPDATE SKIP LOCKED) b)
UPDATE timers_waiting w SET state = 'ready', blocked_on = NULL, blocked_capacity = NULL, changed_at = timers_now()
FROM chosen c WHERE w.id = c.id
RETURNING 1
"""
# Skip scan: a million orders may wait for one place. It may have another capacity by now: of shared locks that is here,
# of others capacities_now has it.
_BLOCKED: Final = """
WITH RECURSIVE scopes AS (
    (SELECT blocked_on, blocked_capacity FROM timers_waiting WHERE blocked_on IS NOT NULL
     ORDER BY blocked_on, priority DESC, available_at LIMIT 1)
    UNION ALL
    SELECT n.* FROM scopes s CROSS JOIN LATERAL (
        SELECT w.blocked_on, w.blocked_capacity FROM timers_waiting w WHERE w.blocked_on > s.blocked_on
        ORDER BY w.blocked_on, w.priority DESC, w.available_at LIMIT 1) n)
SELECT s.blocked_on, COALESCE(l.capacity, s.blocked_capacity)
FROM scopes s LEFT JOIN timers_chain_lock l ON 'lock:' || l.group_id || '/' || l.name = s.blocked_on
"""


def admit(executions: Sequence[Execution]) -> tuple[list[Execution], int]:
    """Choose the executions that get all places they need; executions that are no orders need none.

    Returns the chosen, and how many are newly blocked. Others are left unchanged: another transaction is deciding about
    their places. Call it in the transaction of the claim, before the claim is inserted.
    """
    wanted = sorted({scope for execution in executions for scope, _ in _scopes(execution)})
    if not wanted:
        return list(executions), 0
    with connection.cursor() as cursor:
        cursor.execute(_TRY_LOCK, (wanted, _CLASS))
        locked = {scope for (scope,) in cursor.fetchall()}
        cursor.execute(_FORGET, (sorted(locked),))
        cursor.execute(_COUNT, (sorted(locked),))
        held: Counter[str] = Counter(dict(cursor.fetchall()))
    chosen: list[Execution] = []
    blocked: list[tuple[Execution, str, int]] = []
    for execution in executions:
        scopes = _scopes(execution)
        if not locked.issuperset(scope for scope, _ in scopes):
            continue
        full = next(((scope, most) for scope, most in scopes if held[scope] >= most), None)
        if full is not None:
            blocked.append((execution, *full))
            continue
        held.update(scope for scope, _ in scopes)
        chosen.append(execution)
    if blocked:
        with connection.cursor() as cursor:
            cursor.execute(
                _BLOCK,
                (
                    plain_array(execution.id for execution, *_ in blocked),
                    text_array(scope for _, scope, _ in blocked),
                    plain_array(most for *_, most in blocked),
                ),
            )
    return chosen, len(blocked)


def hold(executions: Iterable[Execution]) -> None:
    """Write the places that claimed orders hold from now on."""
    rows = [(scope, execution.id, execution.fence) for execution in executions for scope, _ in _scopes(execution)]
    if rows:
        scopes, orders, fences = zip(*rows, strict=True)
        with connection.cursor() as cursor:
            cursor.execute(_INSERT, (list(scopes), plain_array(orders), plain_array(fences)))


def give_back(executions: Iterable[Execution]) -> None:
    """Release the places of orders whose steps end in this transaction, and make orders ready that wait for them."""
    held = [execution for execution in executions if _scopes(execution)]
    if not held:
        return
    with connection.cursor() as cursor:
        cursor.execute(_GIVE_BACK, (plain_array(each.id for each in held), plain_array(each.fence for each in held)))
        free = Counter(scope for (scope,) in cursor.fetchall())
    _lock(free)
    _unblock(free)


def unblock_all() -> int:
    """Make orders ready that wait for free places, for example places of a dead node; return their number."""
    with connection.cursor() as cursor:
        cursor.execute(_BLOCKED)
        stored: dict[str, int] = dict(cursor.fetchall())
    return _unblock_up_to(capacities_now(stored)) if stored else 0


def unblock_lock(group_id: int, name: str, capacity: int) -> int:
    """Make orders ready that wait for a shared lock whose capacity has changed; return their number.

    Args:
        group_id: the group of the lock.
        name: its name.
        capacity: its new capacity.
    """
    return _unblock_up_to({lock_scope(group_id, name): capacity})


def unblock_chain(before: Mapping[str, int]) -> None:
    """Make orders ready that wait for places of which a new version of their chain has more.

    Args:
        before: the places that the version before limited, with their capacities.
    """
    now = capacities_now(before)
    _unblock_up_to({scope: most for scope, most in now.items() if most > before[scope]})


def _unblock_up_to(capacities: dict[str, int]) -> int:
    if not capacities:
        return 0
    _lock(capacities)
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, (sorted(capacities),))
        cursor.execute(_COUNT, (sorted(capacities),))
        held: dict[str, int] = dict(cursor.fetchall())
    return _unblock({scope: most - held.get(scope, 0) for scope, most in capacities.items()})


def _lock(scopes: Collection[str]) -> None:
    if scopes:
        with connection.cursor() as cursor:
            cursor.execute(_LOCK, (_CLASS, list(scopes)))


def _unblock(free: dict[str, int] | Counter[str]) -> int:
    if not free:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_UNBLOCK, (list(free), list(free.values())))
        made_ready = len(cursor.fetchall())
    if made_ready:
        now = clock.now()
        wake_if_soon([now], now)
    return made_ready


def _scopes(execution: Execution) -> tuple[tuple[str, int], ...]:
    return () if execution.order is None else execution.order.scopes
