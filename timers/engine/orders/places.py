"""Places of orders: their rows in `waiting`, and the final rows of their executions in the ledger."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from timers.database import connection
from timers.domain.chains.order import AT_LIMIT, AWAITING, FAILED, LOCKED, READY, WAITING, Order
from timers.domain.execution_id import OVERLAPPING, execution_id, origin_of
from timers.domain.execution_id import parse as parse_id
from timers.engine.arrays import plain_array, text_array, timestamp
from timers.engine.errors import fingerprint
from timers.engine.orders.rows import OrderRow
from timers.schedules.instant import to_microseconds

RUNNING_OUT: Final = 1 << 27
"""Number of branches with distinct ids at one instant."""

_LOCK: Final = "SELECT id::text, attempt FROM timers_waiting WHERE id = ANY(%s::uuid[]) ORDER BY id FOR UPDATE"
_TRIED: Final = """
SELECT e.id::text, max((c.details -> e.id::text ->> 'tried')::int + 1)
FROM timers_claim c, unnest(c.executions) AS e(id)
WHERE c.group_id = ANY(%s::bigint[]) AND c.executions && %s::uuid[] AND e.id = ANY(%s::uuid[]) GROUP BY 1
"""
_DELETE: Final = "DELETE FROM timers_waiting WHERE id = ANY(%s::uuid[])"
_INSERT: Final = f"""
INSERT INTO timers_waiting (id, group_id, timer_id, name, state, available_at, attempt, forgiven, missed_count, origin,
                            step, handler, required_roles, reason, error_title, error_fingerprint, created_at,
                            changed_at, priority, limit_key)
SELECT u.id, u.group_id, u.timer_id, u.name, u.state, {timestamp("u.available_us")}, u.tried, 0, 0, u.origin, u.step,
       u.handler, u.roles::varchar[], u.reason, u.error_title, u.error_fingerprint, %s, %s, u.priority,
       (SELECT t.limit_key FROM timers_timer t WHERE t.id = u.timer_id)
FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::int[], %s::text[],
            %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::int[])
     AS u(id, group_id, timer_id, name, state, available_us, tried, origin, step, handler, roles, reason, error_title,
          error_fingerprint, priority)
"""
_FINAL: Final = f"""
INSERT INTO timers_attempt (id, group_id, timer_id, name, scheduled_for, attempt, outcome, reason, origin, node, worker,
                            finished_at)
SELECT u.id, u.group_id, u.timer_id, u.name, {timestamp("u.scheduled_us")}, u.attempt, u.outcome, u.reason, u.origin,
       %s, %s, {timestamp("u.finished_us")}
FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::int[], %s::text[], %s::text[],
            %s::text[], %s::bigint[])
     AS u(id, group_id, timer_id, name, scheduled_us, attempt, outcome, reason, origin, finished_us)
ON CONFLICT (id) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A row to insert into `waiting`."""

    row: OrderRow
    handler: str | None
    """The handler that its step calls."""
    roles: tuple[str, ...] = ()
    """The roles that its step requires."""
    now_us: int = 0
    """The current instant of its group's clock: it is available from then on, if it waits for no instant."""


def may_wait(order: Order) -> bool:
    """Whether an order in this state has a row in `waiting` while it is not claimed."""
    return order.state in (READY, AT_LIMIT, LOCKED, WAITING, FAILED) or (
        order.state == AWAITING and order.available_at is not None
    )


def lock_places(ids: Collection[str]) -> dict[str, int]:
    """Lock the waiting rows of orders, waiting for other transactions.

    Returns the orders that have a row, with their numbers of attempts: some attempts are recorded outside of the chain.
    """
    if not ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, (plain_array(ids),))
        return dict(cursor.fetchall())


def attempts_in_claims(rows: Collection[OrderRow]) -> dict[str, int]:
    """Return the numbers of the current attempts of claimed orders."""
    if not rows:
        return {}
    ids, groups = plain_array(row.id for row in rows), plain_array({row.group_id for row in rows})
    with connection.cursor() as cursor:
        cursor.execute(_TRIED, (groups, ids, ids))
        return {order: attempt for order, attempt in cursor.fetchall() if attempt is not None}


def delete_places(ids: Collection[str]) -> None:
    """Delete locked waiting rows."""
    if ids:
        with connection.cursor() as cursor:
            cursor.execute(_DELETE, (plain_array(ids),))


def insert_places(places: Sequence[Place], now: datetime) -> None:
    """Insert the waiting rows of orders; `now` is the instant of the database clock."""
    if not places:
        return
    rows = [place.row for place in places]
    failed = [row.order.state == FAILED for row in rows]
    reasons = [row.order.reason for row in rows]
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            (
                now,
                now,
                plain_array(row.id for row in rows),
                plain_array(row.group_id for row in rows),
                plain_array(row.timer_id for row in rows),
                text_array(row.name for row in rows),
                plain_array("failed" if parked else "ready" for parked in failed),
                plain_array(
                    place.now_us
                    if place.row.order.available_at is None
                    else to_microseconds(place.row.order.available_at)
                    for place in places
                ),
                plain_array(row.attempts for row in rows),
                plain_array(origin_of(row.id) for row in rows),
                text_array(row.order.step for row in rows),
                text_array(place.handler for place in places),
                text_array(text_array(place.roles) if place.roles else None for place in places),
                text_array(reasons),
                text_array(reason if parked else "" for reason, parked in zip(reasons, failed, strict=True)),
                plain_array(
                    fingerprint("chain", row.order.step, row.order.reason) if parked else None
                    for row, parked in zip(rows, failed, strict=True)
                ),
                plain_array(row.priority for row in rows),
            ),
        )


def write_finals(rows: Sequence[OrderRow], finished_us: Sequence[int], node: str | None, worker: int | None) -> None:
    """Write the one final row of each ended order.

    Args:
        rows: the orders.
        finished_us: their ends by their groups' clocks, in microseconds since 1970 UTC.
        node: the node that ended them; None: none.
        worker: the worker that ended them; None: none.
    """
    if not rows:
        return
    ids = [parse_id(row.id) for row in rows]
    with connection.cursor() as cursor:
        cursor.execute(
            _FINAL,
            (
                node,
                worker,
                plain_array(row.id for row in rows),
                plain_array(row.group_id for row in rows),
                plain_array(row.timer_id for row in rows),
                text_array(row.name for row in rows),
                plain_array(each.scheduled_us for each in ids),
                plain_array(row.attempts for row in rows),
                plain_array(row.order.outcome for row in rows),
                text_array(row.order.reason or None for row in rows),
                plain_array(each.origin for each in ids),
                plain_array(finished_us),
            ),
        )


def new_ids(timer_id: int, now_us: int, count: int) -> list[str]:
    """Return ids for branches and sub-chains of a timer's execution.

    They are ids of manual runs that may overlap, at instants that a sequence spreads, so they are unique.

    Args:
        timer_id: the timer.
        now_us: the first instant, in microseconds.
        count: the number of ids.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('timers_branch') FROM generate_series(1, %s)", (count,))
        numbers = [number % RUNNING_OUT for (number,) in cursor.fetchall()]
    free = OVERLAPPING
    return [
        execution_id(now_us + number // free, timer_id, "manual", OVERLAPPING + number % free) for number in numbers
    ]
