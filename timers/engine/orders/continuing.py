"""Continue orders: the worker that ends a step claims the next step of the order in the same transaction.

The alternative, which remains for all other cases, is a row in `waiting`: a commit, a notification, a query for due
work and a second transaction later, a worker has claimed it. Between two steps that do nothing, that is most of the
time.

The claim has the conditions of claim.py: the group is as known and not paused, nothing suspends claims, the chain and
the step are not stopped, this worker has the handler and the roles. Where another condition would have to be checked
(limits of the group, a limit or locks of the step, a leadership, waiting orders where priorities count), the order
takes the ordinary way. It does so too after MOST_IN_A_ROW steps, and while the worker leaves due work for lack of room.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from timers.actions import Action
from timers.actions.pull import PullAction
from timers.database import connection
from timers.domain.chains.order import READY
from timers.domain.chains.steps import ActionStep
from timers.domain.cluster_modes import DISTRIBUTED
from timers.domain.execution_id import origin_of
from timers.engine.arrays import plain_array
from timers.engine.clock_step import is_held
from timers.engine.execution import AnyHolder, Execution, ServedGroup
from timers.engine.fence import insert_claim
from timers.engine.group_clock import DATABASE_CLOCK
from timers.engine.orders.capacities import needs_place, newest_chain
from timers.engine.orders.claimed import attach_step
from timers.engine.orders.definitions import definition_of
from timers.engine.orders.rows import OrderRow
from timers.engine.orders.trees import Trees
from timers.engine.outcome import Outcome
from timers.engine.ready_rows import execution_of
from timers.engine.unserved import is_known_here
from timers.models.cluster_pause import is_paused
from timers.schedules.instant import from_microseconds

MOST_IN_A_ROW: Final = 32
"""Number of steps of one order that a worker claims in this way, one after the other."""

# The lock on a timer makes a change of it wait, which then finds the claim. Timers that are being changed are left.
_TIMERS: Final = f"""
SELECT t.id AS timer_id, t.payload::text AS timer_payload, t.action::text AS action, t.overrides::text AS overrides,
       t.schedule_kind AS kind, t.schedule::text AS schedule, t.time_zone, t.until_committed, t.open_execution,
       t.limit_key AS timer_key
FROM timers_timer t
WHERE t.id = ANY(%(timers)s::bigint[]) AND t.state <> 'cancelled'
  AND %(version)s = (SELECT version FROM timers_timer_group WHERE id = %(group)s FOR KEY SHARE SKIP LOCKED)
  AND NOT {is_paused("%(partition)s")} AND NOT {is_held("timers_now()")}
  {{waiting}}
FOR SHARE OF t SKIP LOCKED
"""
_NONE_WAITS: Final = """AND NOT EXISTS (
    SELECT 1 FROM timers_waiting w WHERE w.group_id = %(group)s AND w.subscription = 0 AND w.state = 'ready'
      AND w.available_at <= %(now)s ORDER BY w.available_at LIMIT 1)
"""


@dataclass(frozen=True, slots=True)
class Continuing:
    """What a worker can claim at the end of a step."""

    partition: str
    roles: Collection[str]
    has_room: Callable[[Action], bool]
    """Takes an idle slot for an action; returns False if there is none. It must never block."""

    def claim(self, holder: AnyHolder, ended: Sequence[Outcome], trees: Trees, now_us: int) -> list[Execution]:
        """Claim the next steps of orders whose step, or whose start, has just ended.

        Call it before the changes of the trees are written: an order that is claimed needs no place in `waiting`.

        Args:
            holder: the worker.
            ended: the ends, and the starts of orders; their orders are in the trees.
            trees: the trees, in which all events have been handled.
            now_us: microseconds by the database clock.
        """
        by_group: dict[int, list[tuple[Execution, OrderRow]]] = {}
        for outcome in ended:
            execution, row = outcome.execution, trees.row(outcome.execution.id)
            action = None if outcome.revoked_because else self._next_action(execution, row, trees)
            if action is None:
                continue
            if not self.has_room(action):
                # The worker is busy: it is faster with large batches, and others may have room.
                return []
            by_group.setdefault(execution.group.id, []).append((execution, row))
        claimed: list[Execution] = []
        for found in by_group.values():
            claimed += self._claim(holder, found[0][0].group, found, trees, now_us)
        return claimed

    def _next_action(self, execution: Execution, row: OrderRow, trees: Trees) -> Action | None:
        """Return the action of the order's next step; None if the order takes the ordinary way."""
        order, group = row.order, execution.group
        if not trees.is_waiting(row.id) or order.state != READY or execution.subscription:
            return None
        if group.limits or group.placement != DISTRIBUTED or group.clock is not DATABASE_CLOCK:
            return None
        if isinstance(group.action, PullAction) or _in_a_row(execution) >= MOST_IN_A_ROW:
            return None
        definition = definition_of(row.version_id)
        step, action = definition.chain.steps[order.step], definition.actions.get(order.step)
        if not isinstance(step, ActionStep) or needs_place(step, newest_chain(trees.newest(row), definition.chain)):
            return None
        is_ours = set(step.required_roles).issubset(self.roles)
        is_known = action is not None and (action.handler is None or is_known_here(action.handler))
        return action if is_ours and is_known else None

    def _claim(
        self,
        holder: AnyHolder,
        group: ServedGroup,
        found: Sequence[tuple[Execution, OrderRow]],
        trees: Trees,
        now_us: int,
    ) -> list[Execution]:
        timers = self._lock_timers(group, {row.timer_id for _, row in found}, now_us)
        claimed: list[Execution] = []
        for before, row in found:
            timer = timers.get(row.timer_id)
            # Another group version was read for some of them.
            if timer is None or before.group.version != group.version:
                continue
            execution = _execution(timer, row, group, now_us)
            attach_step(execution, row, _with_parents(row, trees))
            if execution.poison or execution.order is None:
                continue
            execution.order = replace(execution.order, in_a_row=_in_a_row(before) + 1)
            trees.hold(row.id, row.attempts, is_running=True)
            claimed.append(execution)
        insert_claim(holder, group, claimed, now_us)
        return claimed

    def _lock_timers(self, group: ServedGroup, timers: Collection[int], now_us: int) -> dict[int, dict[str, Any]]:
        """Lock timers whose orders may be claimed, and read them; empty if nothing may be claimed now."""
        statement = _TIMERS.format(waiting=_NONE_WAITS if group.orders_by_priority else "")
        values: dict[str, Any] = {
            "timers": plain_array(timers), "version": group.version, "group": group.id, "partition": self.partition,
            "now": from_microseconds(now_us),
        }  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            names = [column.name for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return {row["timer_id"]: row for row in rows}


def _with_parents(row: OrderRow, trees: Trees) -> dict[str, OrderRow]:
    """Return an order and those from which it inherits variables, by id."""
    above = {} if row.order.branch is None else _with_parents(trees.row(row.order.parent), trees)
    return {**above, row.id: row}


def _in_a_row(execution: Execution) -> int:
    return 0 if execution.order is None else execution.order.in_a_row


def _execution(timer: dict[str, Any], row: OrderRow, group: ServedGroup, now_us: int) -> Execution:
    """Return what claim.py would build of the order's row in `waiting`."""
    place = {
        **timer,
        "id": row.id,
        "name": row.name,
        "available_at": row.order.available_at or from_microseconds(now_us),
        "attempt": row.attempts,
        "forgiven": 0,
        "snoozes": 0,
        "missed_count": 0,
        "origin": origin_of(row.id),
        "step": row.order.step,
        "own_payload": None,
    }
    return execution_of(place, group, 0)
