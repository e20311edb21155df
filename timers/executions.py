"""Public API: retry, dismiss and cancel executions, one or many at once, from Python.

    from timers.executions import retry_failed, start_operation

    retry_failed(execution_id, payload=mended, actor="ann")
    start_operation("retry", {"group": "billing", "error_contains": "connection refused"}, pace=20, actor="ann")

Each call is its own transaction, or joins the caller's. An invalid argument raises InvalidRequest, a missing object
TimerNotFound, an operation that its state does not allow NotAllowedNow (all in `timers.exceptions`).
"""

from __future__ import annotations

from timers.control.executions import (
    CancelledExecution,
    cancel_execution,
    cancel_waiting,
    dismiss_failed,
    replay_execution,
    retry_failed,
)
from timers.control.operations import (
    cancel_operation,
    pause_operation,
    resume_operation,
    set_pace,
    start_operation,
)
from timers.insights.failures import Failure, Failures, failures

__all__ = [
    "CancelledExecution",
    "Failure",
    "Failures",
    "cancel_execution",
    "cancel_operation",
    "cancel_waiting",
    "dismiss_failed",
    "failures",
    "pause_operation",
    "replay_execution",
    "resume_operation",
    "retry_failed",
    "set_pace",
    "start_operation",
]
