"""The executor: plain handlers run in threads, async handlers and calls on the event loop; the rest is reported."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from timers.actions.chain import ChainAction
from timers.clock import DatabaseClock
from timers.engine.execution import Execution
from timers.engine.outcome import Outcome, impossible
from timers.handlers import Handler
from timers.worker.attempts import Report, find_work, looked_at
from timers.worker.event_loop import Awaited, EventLoop
from timers.worker.thread_pool import Item, ThreadPool


class Executor:
    """Runs executions whose instant has come; every result is reported as an outcome."""

    def __init__(self, threads: ThreadPool, loop: EventLoop, clock: DatabaseClock, report: Report) -> None:
        self._threads = threads
        self._loop = loop
        self._clock = clock
        self._report = report

    def start(self) -> None:
        """Start threads and loop."""
        self._threads.start()
        self._loop.start()

    @property
    def busy(self) -> int:
        """Number of running handlers."""
        return self._threads.busy + self._loop.busy

    @property
    def running(self) -> tuple[int, int]:
        """Number of executions that run now: in threads, on the event loop."""
        return self._threads.running, self._loop.running

    def submit(self, executions: Sequence[Execution]) -> None:
        """Run these as soon as a slot is free."""
        plain: list[Item] = []
        awaited: list[Awaited] = []
        ended: list[Outcome] = []
        for execution in executions:
            work = find_work(execution)
            if isinstance(work, Handler):
                if work.is_async:
                    awaited.append((execution, work))
                else:
                    plain.append((execution, work))
            elif isinstance(work, str):
                ended.append(impossible(execution, work, self._clock.now_us()))
            elif isinstance(work, ChainAction):
                ended.append(looked_at(execution, self._clock.now_us()))
            else:
                awaited.append((execution, work))
        if plain:
            self._threads.submit(plain)
        if awaited:
            self._loop.submit(awaited)
        if ended:
            self._report(ended)

    def take(self, ids: Collection[str] | None = None) -> list[Execution]:
        """Remove and return executions that have not begun: those with the given ids, or all."""
        return self._threads.take(ids) + self._loop.take(ids)

    def cancel(self, ids: Collection[str]) -> None:
        """Request running handlers to end."""
        self._threads.cancel(ids)
        self._loop.cancel(ids)

    def tick(self) -> None:
        """Spread work of stalled threads; called a few times per second."""
        self._threads.spread_stalled_chunks()

    def stop(self) -> None:
        """Stop threads and loop."""
        self._threads.stop()
        self._loop.stop()
