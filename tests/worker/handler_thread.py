"""A pool of one handler thread, watched as in a worker process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.executions import execution, started
from tests.support.handlers import TemporaryHandlers
from timers import handlers as registry
from timers.clock import DatabaseClock
from timers.engine.outcome import Outcome
from timers.handlers import Fire
from timers.testing import START
from timers.worker import process_state, state_kinds
from timers.worker.run_time_mean import Pace
from timers.worker.thread_pool import ThreadPool


class Thread:
    """A pool of one thread, and what it reported."""

    def __init__(self, handlers: TemporaryHandlers) -> None:
        self.outcomes: list[Outcome] = []
        self._handlers = handlers
        self.pool = ThreadPool("node-a", 1, DatabaseClock(START), started(), Pace(), self.outcomes.extend)
        self.pool.start()

    def run(self, *functions: Callable[[Fire], Any]) -> list[Outcome]:
        """Run these one after the other; returns their outcomes."""
        before = len(self.outcomes)
        # pytest has changed an environment variable since.
        process_state.note_process()
        for number, function in enumerate(functions):
            name = f"tests.state.{before + number}"
            self._handlers.add(name, function)
            found = registry.find(name)
            assert found is not None
            self.pool.submit([(execution(name), found)])
        eventually(lambda: len(self.outcomes) == before + len(functions))
        return self.outcomes[before:]


def doing(function: Callable[[], Any]) -> Callable[[Fire], None]:
    """A handler that calls the function and keeps nothing of what it returns."""

    def handler(fire: Fire) -> None:
        function()

    return handler


def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process as a worker prepares it; afterwards it is as before."""
    for kind in state_kinds.KINDS:
        for module, name in kind.changers:
            monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(process_state, "_before", {})
    monkeypatch.setattr(process_state, "_attributes", [])
    monkeypatch.setattr(process_state, "_noted_path", [])
    monkeypatch.setattr(process_state, "_path", [])
    monkeypatch.setattr(process_state, "_not_restored", [])
    process_state.wrap_changers()
    process_state.note_process()
    yield
    process_state._touched.clear()
