"""Detect what a handler leaves behind, restore the previous state, and make the attempt an error.

A handler's context (contextvars: decimal context, active language, Django's current time zone) is its own and is
dropped with it. connection_state checks the connections, process_state the process. docs/handlers.md has the table.
"""

from __future__ import annotations

from collections.abc import Callable

from timers.engine.execution import Execution
from timers.engine.outcome import Outcome
from timers.worker import process_state
from timers.worker.attempts import spoilt
from timers.worker.connection_state import ConnectionState


class HandlerState:
    """The state of one handler thread; created in that thread."""

    def __init__(self, is_alone: Callable[[], bool]) -> None:
        process_state.begin_thread()
        self._connections = ConnectionState()
        self._is_alone = is_alone

    def judge(self, execution: Execution, outcome: Outcome) -> Outcome:
        """Restore what the handler changed. Return the outcome, or an error if it left something behind."""
        left = process_state.left_by(execution, self._is_alone)
        if self._connections.opened:
            left = [*self._connections.left(), *left]
        return spoilt(outcome, left) if left else outcome
