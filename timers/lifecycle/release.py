"""Release: give executions back unrun, their try with them."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from timers.lifecycle import waiting_rows
from timers.lifecycle.execution import AnyHolder, Execution
from timers.lifecycle.fence import by_fence, let_go, lock_claims
from timers.lifecycle.finish import finish
from timers.lifecycle.outcome import Outcome
from timers.lifecycle.waiting_rows import WaitingRow


def release(holder: AnyHolder, executions: Sequence[Execution], now_us: int) -> int:
    """Turn claimed executions that never started into ready ones at their own instants; returns how many were ours.

    The try is not counted: a node that drains or a worker that is short of slots takes nothing from the retries.
    What was asked to end is cancelled instead.
    """
    if not executions:
        return 0
    with transaction.atomic():
        wanted = by_fence(executions)
        held, revoked = lock_claims(wanted, holder)
        ours = [execution for execution in executions if execution.id in held.get(execution.fence, ())]
        unwanted = [execution for execution in ours if execution.id in revoked]
        ours = [execution for execution in ours if execution.id not in revoked]
        waiting_rows.insert(
            [
                WaitingRow(
                    execution,
                    state="ready",
                    available_us=execution.available_us,
                    tried=execution.attempt - 1,
                    forgiven=execution.forgiven,
                    reason="released",
                    snoozes=execution.snoozes,
                )
                for execution in ours
            ],
            now_us,
        )
        let_go(held, by_fence(ours))
    outcomes = [Outcome(execution, "lost", None, now_us, reason="it had not begun") for execution in unwanted]
    finish(holder, outcomes, now_us)
    return len(ours)
