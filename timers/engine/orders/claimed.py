"""Claimed orders: what a claimed execution of an order does: run its step, or only inspect the order."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from timers.actions.chain import ChainAction
from timers.domain.chains import Chain, Order
from timers.domain.chains.order import FAILED, RUNNABLE, WAITING
from timers.domain.chains.steps import ActionStep
from timers.domain.payload import storable
from timers.engine.claimed_order import ClaimedOrder
from timers.engine.execution import Execution
from timers.engine.orders.capacities import Scopes, SharedLocks, newest_chain, scopes_of
from timers.engine.orders.definitions import Definition, definition_of, read_chains
from timers.engine.orders.rows import OrderRow, read_orders


def attach(executions: Sequence[Execution]) -> None:
    """Set action, limit and payload of claimed executions of orders from their steps.

    Args:
        executions: Those that are not at a step of a chain are ignored.
    """
    of_orders = [execution for execution in executions if execution.step]
    if not of_orders:
        return
    found = read_orders([execution.id for execution in of_orders])
    _load_parents(found)
    chains = read_chains({row.chain_id for row in found.values()})
    shared = SharedLocks()
    for execution in of_orders:
        row = found.get(execution.id)
        try:
            if row is None:
                raise LookupError("the order is gone")
            definition = definition_of(row.version_id)
            stopped, newest = chains[row.chain_id]
            name = row.order.step
            is_stopped = stopped.is_chain_stopped or name in stopped.stopped or name in stopped.skipped
            newest_one = newest_chain(newest, definition.chain)
            _attach(execution, row, definition, newest_one, found, shared, is_stopped=is_stopped)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one row must not stop the batch
            execution.poison = storable(str(error))


def attach_step(execution: Execution, row: OrderRow, orders: dict[str, OrderRow]) -> None:
    """Set action, limit and payload of a claimed execution whose step is not stopped and needs no place.

    Args:
        execution: The execution.
        row: Its order.
        orders: The order, and the parents from which it inherits variables, by id.
    """
    definition = definition_of(row.version_id)
    _attach(execution, row, definition, definition.chain, orders, SharedLocks(), is_stopped=False)


def _attach(
    execution: Execution,
    row: OrderRow,
    definition: Definition,
    newest: Chain,
    orders: dict[str, OrderRow],
    shared: SharedLocks,
    *,
    is_stopped: bool,
) -> None:
    order = row.order
    step = definition.chain.steps.get(order.step)
    is_run = (
        isinstance(step, ActionStep) and not is_stopped and order.state != FAILED
        and (order.state in RUNNABLE or order.state == WAITING)
    )  # fmt: skip
    scopes: Scopes = ()
    if is_run and isinstance(step, ActionStep):
        scopes = scopes_of(step, definition.chain, newest, row.chain_id, row.group_id, shared)
    roles = step.required_roles if isinstance(step, ActionStep) else ()
    execution.order = ClaimedOrder(
        row.root, order.turn, is_run, scopes, roles, definition.handler(order.step), definition.name, row.subscription
    )
    execution.action = definition.actions[order.step] if is_run else ChainAction(execution.step)
    if isinstance(step, ActionStep) and step.timeout is not None:
        execution.policies = replace(execution.policies, attempt_timeout=step.timeout)
    execution.payload = dict(_seen(order, orders)) if is_run else None


def _seen(order: Order, orders: dict[str, OrderRow]) -> dict[str, object]:
    own = dict(order.variables)
    if order.branch is None:
        return own
    return {**_seen(orders[order.parent].order, orders), **own}


def _load_parents(found: dict[str, OrderRow]) -> None:
    missing: Collection[str] = _parents(found)
    while missing:
        more = read_orders(missing)
        found |= more
        missing = _parents(more) - found.keys()


def _parents(rows: dict[str, OrderRow]) -> set[str]:
    return {row.order.parent for row in rows.values() if row.order.branch is not None}
