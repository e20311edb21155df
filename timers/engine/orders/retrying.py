"""Retry failed orders in their role as executions, whose payload is the order's variables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from timers import clock
from timers.domain.chains.order import FAILED
from timers.domain.chains.steps import readers
from timers.engine.advance import lock_timers
from timers.engine.orders.cancelling import orders_among
from timers.engine.orders.rows import OrderRow, lock_roots, write_orders


def lock_failed_order(execution: str) -> OrderRow | None:
    """Lock a failed order and its timer, before its place in waiting; return None if it is not a failed order."""
    for order, root, timer_id in orders_among([execution]):
        lock_timers([timer_id])
        row = lock_roots([root]).get(order)
        if row is not None and row.order.state == FAILED:
            return row
    return None


def set_variables(row: OrderRow, payload: Any) -> None:
    """Set variables of a locked order; the others are unchanged.

    Raises:
        InvalidRequest: the payload is not valid as variables.
    """
    variables = readers.variables(payload, "payload")
    merged = {**row.order.variables, **variables}
    readers.check_size(merged, "payload")
    row.order = replace(row.order, variables=merged)
    write_orders([row], clock.now())
