"""Claimed orders: what a claimed execution of an order does: run its step, or only inspect the order."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from timers.actions.chain import ChainAction
from timers.domain.chains import Order
from timers.domain.chains.order import FAILED, RUNNABLE, WAITING
from timers.domain.chains.steps import ActionStep
from timers.domain.payload import storable
from timers.engine.execution import ClaimedOrder, Execution
from timers.engine.orders.definitions import Definition, definition_of, read_states
from timers.engine.orders.holds import lock_scope
from timers.engine.orders.rows import OrderRow, read_orders
from timers.models import ChainLock


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
    states = read_states({row.chain_id for row in found.values()})
    shared = SharedLocks()
    for execution in of_orders:
        row = found.get(execution.id)
        try:
            if row is None:
                raise LookupError("the order is gone")
            definition = definition_of(row.version_id)
            stopped = states[row.chain_id]
            name = row.order.step
            is_stopped = stopped.is_chain_stopped or name in stopped.stopped or name in stopped.skipped
            _attach(execution, row, definition, found, shared, is_stopped=is_stopped)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one row must not stop the batch
            execution.poison = storable(str(error))


def attach_step(execution: Execution, row: OrderRow, orders: dict[str, OrderRow]) -> None:
    """Set action, limit and payload of a claimed execution from the step of its order, which is not stopped.

    Args:
        execution: The execution.
        row: Its order.
        orders: The order, and the parents from which it inherits variables, by id.
    """
    _attach(execution, row, definition_of(row.version_id), orders, SharedLocks(), is_stopped=False)


def _attach(
    execution: Execution,
    row: OrderRow,
    definition: Definition,
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
    scopes = _scopes(row, step, definition, shared) if is_run and isinstance(step, ActionStep) else ()
    roles = step.required_roles if isinstance(step, ActionStep) else ()
    execution.order = ClaimedOrder(row.root, order.turn, is_run, scopes, roles, definition.handler(order.step))
    execution.action = definition.actions[order.step] if is_run else ChainAction(execution.step)
    if isinstance(step, ActionStep) and step.timeout is not None:
        execution.policies = replace(execution.policies, attempt_timeout=step.timeout)
    execution.payload = dict(_seen(order, orders)) if is_run else None


def _scopes(
    row: OrderRow, step: ActionStep, definition: Definition, shared: SharedLocks
) -> tuple[tuple[str, int], ...]:
    found: list[tuple[str, int]] = []
    if step.max_orders is not None:
        found.append((f"step:{row.chain_id}/{step.name}", step.max_orders))
    for name in step.locks:
        capacity = definition.chain.locks.get(name)
        if capacity is None:
            found.append((lock_scope(row.group_id, name), shared.capacity(row.group_id, name)))
        else:
            found.append((f"lock:{row.chain_id}:{name}", capacity))
    return tuple(found)


class SharedLocks:
    """The capacities of locks that chains share, read once for each group."""

    def __init__(self) -> None:
        self._read: dict[int, dict[str, int]] = {}

    def capacity(self, group_id: int, name: str) -> int:
        """Return how many orders may hold the lock; raise LookupError if it has been deleted."""
        if group_id not in self._read:
            rows = ChainLock.objects.filter(group_id=group_id).values_list("name", "capacity")
            self._read[group_id] = dict(rows)
        if name not in self._read[group_id]:
            raise LookupError(f'lock "{name}" has been deleted; declare it again, and retry the order')
        return self._read[group_id][name]


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
