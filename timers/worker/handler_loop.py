"""The event loop that handlers share: none of them can end it, change it or cancel a neighbour.

What a handler does reaches the loop in its own context (of contextvars), which the tasks and callbacks that it starts
inherit. So the loop knows on whose behalf it is called, and who raised or blocks where it did not expect that.
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
        """Cancel it, as asyncio.Task does; raises RuntimeError when another execution tries to."""
        self._check_caller("cancel it")
        return super().cancel(msg)

    def get_coro(self) -> Any:
        """Return its coroutine; raises RuntimeError when another execution asks, which could close it."""
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
    """An event loop that refuses to handlers what would end or change it for all of them."""

    stop = _refused("stop")
    set_debug = _refused("set_debug")
    set_default_executor = _refused("set_default_executor")
    set_exception_handler = _refused("set_exception_handler")
    set_task_factory = _refused("set_task_factory")
    shutdown_asyncgens = _refused("shutdown_asyncgens")
    shutdown_default_executor = _refused("shutdown_default_executor")


def raiser(error: BaseException) -> tuple[bool, Execution | None]:
    """Whether an exception that left run_forever() came out of a callback or task, and whose that was."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is asyncio.Handle._run.__code__:  # noqa: SLF001 - nothing public tells the callback
            return True, _execution_of(trace.tb_frame)
        trace = trace.tb_next
    return False, None


def blocker(thread: int) -> tuple[Execution | None, str]:
    """Who keeps the loop that runs in the thread of that identifier, and in which place of the code."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - documented, for debuggers
    place = "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
    while frame is not None:
        if frame.f_code is asyncio.Handle._run.__code__:  # noqa: SLF001 - nothing public tells the callback
            return _execution_of(frame), place
        frame = frame.f_back
    return None, place


def _execution_of(frame: FrameType) -> Execution | None:
    context: Context | None = getattr(frame.f_locals.get("self"), "_context", None)
    return None if context is None else context.get(current)
