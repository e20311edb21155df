"""The event loop that handlers share: no handler can stop it, change it or cancel another handler.

A handler calls the loop in its own context (contextvars), which the tasks and callbacks that it starts inherit. So the
loop knows for which execution it is called, and which one unexpectedly raises or blocks.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextvars import Context
from types import FrameType, TracebackType
from typing import Any

from timers.engine.execution import Execution
from timers.worker.current import current


class HandlerTask(asyncio.Task[None]):
    """The task of one execution; only the worker and the execution itself can cancel it."""

    execution: Execution | None = None

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel the task, as asyncio.Task does. Raise RuntimeError if another execution calls it."""
        self._check_caller("cancel it")
        return super().cancel(msg)

    def get_coro(self) -> Any:
        """Return the coroutine. Raise RuntimeError if another execution calls it, which could close the coroutine."""
        self._check_caller("have its coroutine")
        return super().get_coro()

    def _check_caller(self, what: str) -> None:
        caller = current.get()
        if caller is not None and caller is not self.execution:
            raise RuntimeError(f"this task is another execution's; a handler cannot {what}")


def _refused(name: str) -> Callable[..., Any]:
    original = getattr(asyncio.SelectorEventLoop, name)

    def method(self: HandlerLoop, *args: Any, **options: Any) -> Any:
        if current.get() is not None:
            raise RuntimeError(f"the event loop is its worker's: {name}() is refused")
        return original(self, *args, **options)

    method.__name__ = name
    return method


class HandlerLoop(asyncio.SelectorEventLoop):
    """An event loop that rejects calls of handlers that would stop or change it for all of them."""

    stop = _refused("stop")
    set_debug = _refused("set_debug")
    set_default_executor = _refused("set_default_executor")
    set_exception_handler = _refused("set_exception_handler")
    set_task_factory = _refused("set_task_factory")
    shutdown_asyncgens = _refused("shutdown_asyncgens")
    shutdown_default_executor = _refused("shutdown_default_executor")


def raiser(error: BaseException) -> tuple[bool, Execution | None]:
    """Return whether an exception that left run_forever() came from a callback or task, and of which execution."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is asyncio.Handle._run.__code__:  # noqa: SLF001 - there is no public API for the callback
            return True, _execution_of(trace.tb_frame)
        trace = trace.tb_next
    return False, None


def blocker(thread: int) -> tuple[Execution | None, str]:
    """Return the execution that blocks the loop in the thread of this identifier, and the place in the code."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - documented, for debuggers
    place = "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
    while frame is not None:
        if frame.f_code is asyncio.Handle._run.__code__:  # noqa: SLF001 - there is no public API for the callback
            return _execution_of(frame), place
        frame = frame.f_back
    return None, place


def _execution_of(frame: FrameType) -> Execution | None:
    context: Context | None = getattr(frame.f_locals.get("self"), "_context", None)
    return None if context is None else context.get(current)
