"""Handlers for one test: registered under a name, noted when called, and at the end all is as before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timers import handlers
from timers.handlers import Fire


class TemporaryHandlers:
    """Registers handlers and notes each call."""

    def __init__(self) -> None:
        self.calls: list[Fire] = []
        self._before: dict[str, handlers.Handler | None] = {}

    def add(self, name: str, does: Callable[[Fire], Any] | None = None, *, timeout: float | None = None) -> None:
        """A handler that does what is given, or nothing; a second one of a name takes its place."""

        def function(fire: Fire) -> Any:
            self.calls.append(fire)
            return None if does is None else does(fire)

        self._register(name, function, timeout)

    def add_async(self, name: str, does: Callable[[Fire], Any], *, timeout: float | None = None) -> None:
        """The same for an async function."""

        async def function(fire: Fire) -> Any:
            self.calls.append(fire)
            return await does(fire)

        self._register(name, function, timeout)

    def script(self, name: str, *ends: Any) -> None:
        """A handler that ends so, call by call: an exception is raised, anything else returned; the last one stays."""
        left = list(ends)

        def next_end(fire: Fire) -> Any:
            end = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(end, BaseException):
                raise end
            return end

        self.add(name, next_end)

    def called(self, timer: str) -> list[Fire]:
        """The calls for a timer of that name."""
        return [fire for fire in self.calls if fire.name == timer]

    def forget(self) -> None:
        """Unregister all; what stood under their names before stands there again."""
        for name, before in self._before.items():
            handlers.unregister(name)
            if before is not None:
                handlers.handler(name, timeout=before.timeout)(before.function)

    def _register(self, name: str, function: Callable[[Fire], Any], timeout: float | None) -> None:
        self._before.setdefault(name, handlers.find(name))
        handlers.unregister(name)
        handlers.handler(name, timeout=timeout)(function)
