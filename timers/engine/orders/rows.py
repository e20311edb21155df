"""Rows of timers_chain_order: read, lock and write in batches."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from timers.database import connection
from timers.domain.chains import Branch, Order, Pending
from timers.domain.payload import decode, plain_text
from timers.engine.arrays import plain_array, text_array

_READ: Final = """
SELECT id::text, root::text, parent::text, parent_round, group_id, chain_id, version_id, timer_id, name, step, state,
       available_at, reason, variables::text, visits::text, setbacks, turn, round, total, is_reset, branch_of,
       branch_name, branch_index, is_suspend_requested, in_finally, pending::text, deadline_at, outcome, attempts,
       priority, COALESCE(subscription, 0)
FROM timers_chain_order
"""


@dataclass(slots=True)
class OrderRow:
    """An order with the columns that only the engine uses."""

    order: Order
    """Without inherited variables of a branch."""
    root: str
    parent_round: int | None
    """The turn in which its parent began it; None for a root, and if another order has replaced it."""
    group_id: int
    chain_id: int
    version_id: int
    timer_id: int
    name: str
    total: int | None
    is_reset: bool
    attempts: int
    priority: int
    subscription: int = 0
    """The ordinal of the subscription that began it; 0: none."""
    result: str | None = None
    """JSON text, if it ended in this transaction."""
    is_new: bool = False
    stored: tuple[Any, str] | None = None
    """The variables as read, and their text: unchanged variables are not encoded again."""

    @property
    def id(self) -> str:
        """The id of the execution."""
        return str(self.order.id)


def read_orders(ids: Collection[str]) -> dict[str, OrderRow]:
    """Return orders by their ids."""
    return _read("WHERE id = ANY(%s::uuid[])", (plain_array(ids),)) if ids else {}


def read_turns(ids: Collection[str]) -> dict[str, int]:
    """Return the turns of orders by their ids."""
    if not ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT id::text, turn FROM timers_chain_order WHERE id = ANY(%s::uuid[])", (plain_array(ids),))
        return dict(cursor.fetchall())


def lock_roots(ids: Iterable[str], *, skip_locked: bool = False) -> dict[str, OrderRow]:
    """Lock the roots of trees, and so all orders of the trees, against other changes."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    lock = " ORDER BY id FOR UPDATE" + (" SKIP LOCKED" if skip_locked else "")
    return _read(f"WHERE id = ANY(%s::uuid[]){lock}", (plain_array(wanted),))


# The root of an order never changes, and a branch is kept as long as its root.
_LOCK_TREES: Final = """
WITH wanted AS MATERIALIZED (SELECT id, root FROM timers_chain_order WHERE id = ANY(%s::uuid[])),
locked AS MATERIALIZED (
    SELECT id FROM timers_chain_order WHERE id = ANY(ARRAY(SELECT root FROM wanted)) ORDER BY id FOR UPDATE {skip})
SELECT w.id::text, w.root IN (SELECT id FROM locked) FROM wanted w
"""


def lock_trees_of(ids: Collection[str], *, skip_locked: bool = False) -> set[str]:
    """Lock the trees of orders; return the orders whose trees are locked, and those that have no row any more.

    Args:
        ids: ids of orders, branches and sub-chains among them.
        skip_locked: leave out trees that other transactions have locked.
    """
    if not ids:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_TREES.format(skip="SKIP LOCKED" if skip_locked else ""), (plain_array(ids),))
        busy = {id_ for id_, is_locked in cursor.fetchall() if skip_locked and not is_locked}
    return set(ids) - busy


def read_children(parent: str, round_: int, *, only_living: bool = False) -> dict[str, OrderRow]:
    """Return the branches, or the sub-chain, that an order began in one round.

    Args:
        parent: id of the order.
        round_: the round.
        only_living: leave out those that have ended.
    """
    living = " AND ended_at IS NULL" if only_living else ""
    return _read(f"WHERE parent = %s AND parent_round = %s{living} ORDER BY branch_index, id", (parent, round_))


def _read(where: str, params: Sequence[Any]) -> dict[str, OrderRow]:
    with connection.cursor() as cursor:
        cursor.execute(_READ + where, params)
        return {row[0]: _row(*row) for row in cursor.fetchall()}


def _row(
    id_: str, root: str, parent: str | None, parent_round: int | None, group_id: int, chain_id: int, version_id: int,
    timer_id: int, name: str, step: str, state: str, available_at: datetime | None, reason: str, variables: str,
    visits: str, setbacks: int, turn: int, round_: int | None, total: int | None, is_reset: bool,
    branch_of: str | None, branch_name: str | None, branch_index: int | None, is_suspend_requested: bool,
    in_finally: bool, pending: str | None, deadline_at: datetime | None, outcome: str | None, attempts: int,
    priority: int, subscription: int,
) -> OrderRow:  # fmt: skip
    order = Order(
        id=id_, step=step, state=state, available_at=available_at, reason=reason, variables=decode(variables),
        visits=json.loads(visits), setbacks=setbacks, turn=turn, round=round_, parent=parent,
        branch=None if branch_of is None else Branch(branch_of, branch_name, branch_index),
        is_suspend_requested=is_suspend_requested, in_finally=in_finally,
        pending=None if pending is None else Pending(**json.loads(pending)), deadline_at=deadline_at, outcome=outcome,
    )  # fmt: skip
    return OrderRow(
        order, root, parent_round, group_id, chain_id, version_id, timer_id, name, total, is_reset, attempts, priority,
        subscription, stored=(order.variables, variables),
    )  # fmt: skip


_COLUMNS: Final = (
    ("parent", "uuid"), ("parent_round", "int"), ("step", "text"), ("state", "text"),
    ("available_at", "timestamptz"), ("reason", "text"), ("variables", "json"),
    ("visits", "json"), ("setbacks", "int"), ("turn", "int"), ("round", "int"), ("total", "int"),
    ("is_reset", "bool"), ("is_suspend_requested", "bool"), ("in_finally", "bool"), ("pending", "json"),
    ("deadline_at", "timestamptz"), ("outcome", "text"), ("result", "json"), ("attempts", "int"),
    ("version_id", "bigint"), ("priority", "int"),
)  # fmt: skip
"""Columns of an order that change."""
_FIXED: Final = (
    ("root", "uuid"), ("group_id", "bigint"), ("chain_id", "bigint"), ("timer_id", "bigint"), ("name", "text"),
    ("branch_of", "text"), ("branch_name", "text"), ("branch_index", "int"), ("subscription", "int"),
)  # fmt: skip
"""Columns of an order that never change."""


def _unnested(columns: Sequence[tuple[str, str]]) -> str:
    # JSON is passed as text: an array literal of json would have to be quoted twice.
    types = ", ".join(f"%s::{'text' if kind == 'json' else kind}[]" for _, kind in columns)
    return f"unnest(%s::uuid[], {types}) AS u(id, {', '.join(name for name, _ in columns)})"


def _value(column: str, kind: str) -> str:
    return f"u.{column}::json" if kind == "json" else f"u.{column}"


_INSERT: Final = f"""
INSERT INTO timers_chain_order (id, {", ".join(name for name, _ in _COLUMNS + _FIXED)}, created_at, changed_at,
                                ended_at)
SELECT u.id, {", ".join(_value(*column) for column in _COLUMNS + _FIXED)}, %s, %s,
       CASE WHEN u.outcome IS NOT NULL THEN %s END
FROM {_unnested(_COLUMNS + _FIXED)}
"""
_UPDATE: Final = f"""
UPDATE timers_chain_order o
SET {", ".join(f"{name} = {_value(name, kind)}" for name, kind in _COLUMNS)}, changed_at = %s,
    ended_at = CASE WHEN u.outcome IS NOT NULL THEN COALESCE(o.ended_at, %s) END
FROM {_unnested(_COLUMNS)} WHERE o.id = u.id
"""


def write_orders(rows: Collection[OrderRow], now: datetime) -> None:
    """Insert new orders and update the others; `now` is the instant of the database clock."""
    new, old = [row for row in rows if row.is_new], [row for row in rows if not row.is_new]
    with connection.cursor() as cursor:
        if new:
            cursor.execute(_INSERT, (now, now, now, plain_array(row.id for row in new), *_changing(new), *_fixed(new)))
        if old:
            cursor.execute(_UPDATE, (now, now, plain_array(row.id for row in old), *_changing(old)))


def _changing(rows: Sequence[OrderRow]) -> list[str]:
    orders = [row.order for row in rows]
    return [
        plain_array(order.parent for order in orders),
        plain_array(row.parent_round for row in rows),
        text_array(order.step for order in orders),
        plain_array(order.state for order in orders),
        _instants(order.available_at for order in orders),
        text_array(order.reason for order in orders),
        text_array(_variables(row) for row in rows),
        text_array(plain_text(order.visits) for order in orders),
        plain_array(order.setbacks for order in orders),
        plain_array(order.turn for order in orders),
        plain_array(order.round for order in orders),
        plain_array(row.total for row in rows),
        plain_array(row.is_reset for row in rows),
        plain_array(order.is_suspend_requested for order in orders),
        plain_array(order.in_finally for order in orders),
        text_array(None if order.pending is None else plain_text(_pending(order.pending)) for order in orders),
        _instants(order.deadline_at for order in orders),
        plain_array(order.outcome for order in orders),
        text_array(row.result for row in rows),
        plain_array(row.attempts for row in rows),
        plain_array(row.version_id for row in rows),
        plain_array(row.priority for row in rows),
    ]


def _fixed(rows: Sequence[OrderRow]) -> list[str]:
    branches = [row.order.branch for row in rows]
    return [
        plain_array(row.root for row in rows),
        plain_array(row.group_id for row in rows),
        plain_array(row.chain_id for row in rows),
        plain_array(row.timer_id for row in rows),
        text_array(row.name for row in rows),
        text_array(None if branch is None else branch.fork for branch in branches),
        text_array(None if branch is None else branch.name for branch in branches),
        plain_array(None if branch is None else branch.index for branch in branches),
        plain_array(row.subscription or None for row in rows),
    ]


def _variables(row: OrderRow) -> str:
    if row.stored is not None and row.stored[0] is row.order.variables:
        return row.stored[1]
    return plain_text(row.order.variables)


def _pending(pending: Pending) -> dict[str, Any]:
    return {name: getattr(pending, name) for name in Pending.__dataclass_fields__}


def _instants(values: Iterable[datetime | None]) -> str:
    return plain_array(None if value is None else f'"{value.isoformat()}"' for value in values)
