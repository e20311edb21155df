"""The execution for which code runs, in the context (contextvars) of its handler."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Imported before Django is set up.
    from timers.engine.execution import Execution

current: ContextVar[Execution | None] = ContextVar("timers_current_execution", default=None)
"""The execution; None: the worker's own code runs."""
