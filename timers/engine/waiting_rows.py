"""Inserts into `waiting`: executions that must be claimed again, or wait for a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from timers.database import connection
from timers.engine.arrays import plain_array, text_array, timestamp
from timers.engine.execution import Execution


class WaitingRow(NamedTuple):
    """One row to insert."""

    execution: Execution
    state: str
    available_us: int
    tried: int
    """Number of attempts so far."""
    forgiven: int
    reason: str = ""
    error_title: str = ""
    error_fingerprint: str | None = None
    snoozes: int = 0


def unbegun(execution: Execution) -> WaitingRow:
    """Return the row of a claimed execution that never started: ready at its own instant, the attempt not counted."""
    return WaitingRow(
        execution, "ready", execution.available_us, execution.attempt - 1, execution.forgiven, "released",
        snoozes=execution.snoozes,
    )  # fmt: skip


_INSERT_WITH: Final = """
INSERT INTO timers_waiting (id, group_id, timer_id, name, state, available_at, attempt, forgiven, snoozes, missed_count,
                            payload, origin, subscription, reason, error_title, error_fingerprint, created_at,
                            changed_at{column})
SELECT u.id, u.group_id, u.timer_id, u.name, u.state, {available_at}, u.tried, u.forgiven, u.snoozes,
       u.missed_count, COALESCE(u.payload::json, CASE WHEN u.keep THEN t.payload END), u.origin,
       u.subscription, u.reason, u.error_title, u.error_fingerprint, {now},
       {now}{value}
FROM unnest(%(id)s::uuid[], %(group_id)s::bigint[], %(timer_id)s::bigint[], %(name)s::text[], %(state)s::text[],
            %(available_us)s::bigint[], %(tried)s::int[], %(forgiven)s::int[], %(snoozes)s::int[],
            %(missed_count)s::int[], %(payload)s::text[], %(keep)s::bool[], %(origin)s::text[],
            %(subscription)s::int[], %(reason)s::text[], %(error_title)s::text[], %(error_fingerprint)s::text[])
     AS u(id, group_id, timer_id, name, state, available_us, tried, forgiven, snoozes, missed_count, payload, keep,
          origin, subscription, reason, error_title, error_fingerprint)
LEFT JOIN timers_timer t ON {needed}t.id = u.timer_id
"""
_TIMES: Final = {"available_at": timestamp("u.available_us"), "now": timestamp("%(now_us)s")}
_INSERT: Final = _INSERT_WITH.format(**_TIMES, column="", value="", needed="u.keep AND ")
_INSERT_KEYED: Final = _INSERT_WITH.format(**_TIMES, column=", limit_key", value=", t.limit_key", needed="")
"""With the timers' keys, for which each timer is read."""


_SET_STEPS: Final = """
UPDATE timers_waiting w SET step = u.step, handler = u.handler, required_roles = u.roles::varchar[],
       priority = COALESCE((SELECT o.priority FROM timers_chain_order o WHERE o.id = u.id), 0)
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[]) AS u(id, step, handler, roles) WHERE w.id = u.id
"""


def _note_steps(executions: Sequence[Execution]) -> None:
    """Write the steps of orders of chains, which are few of the executions."""
    of_orders = [execution for execution in executions if execution.step]
    if not of_orders:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _SET_STEPS,
            (
                plain_array(execution.id for execution in of_orders),
                text_array(execution.step for execution in of_orders),
                text_array(_handler(each) for each in of_orders),
                text_array(_roles(each) for each in of_orders),
            ),
        )


def _handler(execution: Execution) -> str | None:
    if execution.order is not None:
        return execution.order.handler  # also if it is only inspected
    return None if execution.action is None else execution.action.handler


def _roles(execution: Execution) -> str | None:
    roles = () if execution.order is None else execution.order.required_roles
    return text_array(roles) if roles else None


def insert(rows: Sequence[WaitingRow], now_us: int, *, keyed: bool = False) -> None:
    """Insert a batch of waiting executions.

    A failed execution of a recurring timer keeps a copy of the payload: the timer may be edited before a person looks
    at the failure.

    Args:
        rows: the rows.
        now_us: the current instant of the database clock in microseconds, of sandboxes too.
        keyed: the groups may limit by key, even if the executions do not show it.
    """
    if not rows:
        return
    executions = [row.execution for row in rows]
    keyed = keyed or any(execution.group.limits.is_keyed for execution in executions)
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT_KEYED if keyed else _INSERT,
            {
                "now_us": now_us,
                "id": plain_array(execution.id for execution in executions),
                "group_id": plain_array(execution.group.id for execution in executions),
                "timer_id": plain_array(execution.timer_id for execution in executions),
                "name": text_array(execution.name for execution in executions),
                "state": plain_array(row.state for row in rows),
                "available_us": plain_array(row.available_us for row in rows),
                "tried": plain_array(row.tried for row in rows),
                "forgiven": plain_array(row.forgiven for row in rows),
                "snoozes": plain_array(row.snoozes for row in rows),
                "missed_count": plain_array(execution.missed_count for execution in executions),
                "payload": text_array(execution.own_payload for execution in executions),
                "keep": plain_array(
                    row.state == "failed"
                    and row.execution.own_payload is None
                    and row.execution.schedule_kind != "once"
                    for row in rows
                ),
                "origin": plain_array(execution.origin for execution in executions),
                "subscription": plain_array(execution.subscription for execution in executions),
                "reason": text_array(row.reason for row in rows),
                "error_title": text_array(row.error_title for row in rows),
                "error_fingerprint": text_array(row.error_fingerprint for row in rows),
            },
        )
    _note_steps(executions)
