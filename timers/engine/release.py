"""Release: give executions back unrun, their try with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.db import transaction

from timers.engine import waiting_rows
from timers.engine.execution import AnyHolder, Execution
from timers.engine.fence import by_fence, let_go, lock_claims
from timers.engine.finish import finish
from timers.engine.group_limits import wake_for_room
from timers.engine.orders.step_end import StepEnds, gone_elsewhere
from timers.engine.outcome import Outcome


class Released(NamedTuple):
    """What became of executions that were to be given back."""

    given_back: int = 0
    """How many of them were the holder's, and are ready again."""
    left: tuple[Execution, ...] = ()
    """Still claimed: asked to end, while someone else has their timer locked. To be released again a little later."""


def release(holder: AnyHolder, executions: Sequence[Execution], now_us: int) -> Released:
    """Turn claimed executions that never started into ready ones at their own instants.

    The try is not counted: a node that drains or a worker that is short of slots takes nothing from the retries.
    What was asked to end is cancelled instead; an order that went elsewhere meanwhile has its place there. Safe to
    repeat after a fault: what a first, unacknowledged commit has given back is no longer in its claim.
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
