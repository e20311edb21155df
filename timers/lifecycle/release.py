"""Release: give executions back unrun, their try with them."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from timers.lifecycle import ledger, waiting_rows
from timers.lifecycle.execution import Execution, Holder
from timers.lifecycle.fence import by_fence, let_go, lock_claims
from timers.lifecycle.outcome import Outcome
from timers.lifecycle.waiting_rows import WaitingRow


def release(holder: Holder, executions: Sequence[Execution], now_us: int) -> int:
    """Turn claimed executions that never started into ready ones at their own instants; returns how many were ours.

    The try is not counted: a node that drains or a worker that is short of slots takes nothing from the retries.
    """
    if not executions:
        return 0
    with transaction.atomic():
        wanted = by_fence(executions)
        held = lock_claims(wanted, holder.node_id)
        ours = [execution for execution in executions if execution.id in held.get(execution.fence, ())]
        waiting_rows.insert(
            [
                WaitingRow(
                    execution,
                    state="ready",
                    available_us=execution.available_us,
                    tried=execution.attempt - 1,
                    forgiven=execution.forgiven,
                    reason="released",
                )
                for execution in ours
            ],
            now_us,
        )
        let_go(held, by_fence(ours))
    return len(ours)


def cancel_unstarted(holder: Holder, executions: Sequence[Execution], now_us: int) -> int:
    """End claimed executions that never started and whose timer was cancelled; returns how many were ours."""
    with transaction.atomic():
        wanted = by_fence(executions)
        held = lock_claims(wanted, holder.node_id)
        ours = [execution for execution in executions if execution.id in held.get(execution.fence, ())]
        outcomes = [Outcome(execution, "lost", None, now_us, reason="the timer was cancelled") for execution in ours]
        ledger.write(holder, [ledger.final_entry(outcome, "cancelled") for outcome in outcomes])
        let_go(held, by_fence(ours))
    return len(ours)
