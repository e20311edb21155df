"""Release: return executions unrun; their attempt does not count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from timers.database import transaction
from timers.engine import waiting_rows
from timers.engine.execution import AnyHolder, Execution
from timers.engine.fence import by_fence, let_go, lock_claims
from timers.engine.finish import finish
from timers.engine.group_limits import wake_for_room
from timers.engine.orders.step_end import StepEnds, gone_elsewhere
from timers.engine.outcome import Outcome


class Released(NamedTuple):
    """Result of releasing executions."""

    given_back: int = 0
    """Number of those that the holder had claimed, and that are ready again."""
    left: tuple[Execution, ...] = ()
    """Executions still claimed: revoked, while another transaction has their timer locked.

    They must be released again a little later.
    """


def release(holder: AnyHolder, executions: Sequence[Execution], now_us: int) -> Released:
    """Turn claimed executions that never started into ready ones at their own instants.

    The attempt is not counted: draining a node or a shortage of slots does not use up retries. Revoked executions are
    cancelled instead; an order that has moved on has its place elsewhere. It is safe to repeat after an error: what a
    first, unacknowledged commit has released is no longer in its claim.

    Args:
        holder: the worker or consumer.
        executions: the executions.
        now_us: microseconds by the database clock.
    """
    if not executions:
        return Released()
    with transaction.atomic():
        of_orders = [execution for execution in executions if execution.order is not None]
        if of_orders:
            StepEnds.lock(of_orders)
        wanted = by_fence(executions)
        held, revoked, _, is_limited = lock_claims(wanted, holder)
        ours = [execution for execution in executions if execution.id in held.get(execution.fence, ())]
        not_wanted = gone_elsewhere(of_orders).union(revoked) if of_orders else revoked
        unwanted = [execution for execution in ours if execution.id in not_wanted]
        ours = [execution for execution in ours if execution.id not in not_wanted]
        waiting_rows.insert([waiting_rows.unbegun(execution) for execution in ours], now_us, keyed=is_limited)
        let_go(held, by_fence(ours))
        if ours:
            wake_for_room(ours, is_limited)
    outcomes = [Outcome(execution, "lost", None, now_us, reason="it had not begun") for execution in unwanted]
    deferred = finish(holder, outcomes, now_us).deferred
    return Released(len(ours), tuple(outcome.execution for outcome in deferred))
