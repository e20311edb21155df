"""Async handlers and HTTP calls: hundreds run concurrently on one event loop in its own thread."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Collection, Sequence
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import Any, Final

from timers import conf
from timers.actions.http import HttpAction
from timers.clock import DatabaseClock
from timers.engine import errors
from timers.engine.execution import Execution, fire_of
from timers.engine.outcome import Outcome
from timers.handlers import Cancellation, Fire
from timers.worker import process_state, run_log
from timers.worker.attempts import Report, Work, overran, raised, returned, spoilt, started_at, time_limit
from timers.worker.current import current
from timers.worker.handler_loop import HandlerLoop, HandlerTask, blocker, raiser
from timers.worker.http_call import HttpCalls
from timers.worker.http_exchange import Exchange
from timers.worker.in_flight import Started
from timers.worker.masking import mask_outcome
from timers.worker.per_target_limit import Lanes
from timers.worker.pulse import WatchedThread
from timers.worker.run_time_mean import Pace
from timers.worker.thread_pool import WAIT_FOR_LEASE_SECONDS

logger = logging.getLogger(__name__)

CANCEL_SECONDS: Final = 1.0
"""Seconds that the loop has to end work at its limit itself; only then does the supervisor count it as overrunning."""

Awaited = tuple[Execution, Work]


class EventLoop:
    """Runs async handlers and calls, at most `concurrency` at once; work that reaches its limit is cancelled.

    Calls of one target run in a lane, so that a slow target takes no more than its share.
    """

    def __init__(
        self,
        node: str,
        concurrency: int,
        clock: DatabaseClock,
        started: Started,
        pace: Pace,
        report: Report,
        calls: HttpCalls | None = None,
        *,
        per_target: int | None = None,
    ) -> None:
        self._node = node
        self._concurrency = concurrency
        self._clock = clock
        self._started = started
        self._pace = pace
        self._report = report
        self._calls = calls or HttpCalls(clock)
        self._pending: Lanes[Awaited] = Lanes(per_target or conf.current().http_per_target)
        self._tasks: dict[asyncio.Task[None], Execution] = {}
        self._running: dict[str, tuple[Cancellation, asyncio.Task[None]]] = {}
        self._fatal: dict[str, BaseException] = {}
        """By execution: the exception with which a background task or callback of its handler tried to end the loop."""
        self._ended: list[Outcome] = []
        self._loop = HandlerLoop()
        self._stopped = False
        self._beat_sent = 0.0
        self._beat_pending = False
        self.thread = WatchedThread("event-loop", self._run)

    def start(self) -> None:
        """Start the loop's thread."""
        self.thread.start()

    @property
    def busy(self) -> int:
        """Number of handlers and calls that run or whose outcome is not reported yet."""
        return len(self._tasks) + len(self._ended)

    @property
    def running(self) -> int:
        """Number of handlers and calls that run now."""
        return len(self._running)

    @property
    def idle(self) -> int:
        """Number of handlers and calls that could begin now, in addition to those that run."""
        return max(self._concurrency - self.busy - self._pending.next, 0)

    def submit(self, items: Sequence[Awaited]) -> None:
        """Queue executions whose instant has come."""
        self._pending.put([(item, item[1].lane if isinstance(item[1], HttpAction) else None) for item in items])
        self._loop.call_soon_threadsafe(self._begin_pending)

    def take(self, ids: Collection[str] | None = None) -> list[Execution]:
        """Remove and return executions that have not begun: those with the given ids, or all."""
        return [execution for execution, _ in self._pending.take(lambda item: ids is None or item[0].id in ids)]

    def cancel(self, ids: Collection[str]) -> None:
        """Request running handlers to end: each task is cancelled once, and fire.cancelled is set."""
        for execution in ids:
            cancellation, task = self._running.get(execution, (None, None))
            if cancellation is not None and task is not None and not cancellation.is_set():
                cancellation.set()
                self._loop.call_soon_threadsafe(task.cancel)

    def stop(self) -> None:
        """Stop the loop and close its connections; running work is abandoned."""
        self.thread.expect_end()
        asyncio.run_coroutine_threadsafe(self._close(), self._loop)

    def blocked_since(self) -> float:
        """Return time.monotonic() since when the loop is blocked; 0: it is not. Called a few times per second."""
        if self._beat_pending:
            return self._beat_sent
        self._beat_pending, self._beat_sent = True, time.monotonic()
        with suppress(RuntimeError):  # A closed loop serves nothing.
            self._loop.call_soon_threadsafe(self._beat)
        return 0.0

    def blocker(self) -> tuple[Execution | None, str]:
        """Return the execution that blocks the loop, if known, and the place in the code."""
        return blocker(self.thread.ident or 0)

    def runs(self, execution: Execution) -> bool:
        """Return whether the handler of the execution is still running."""
        return execution.id in self._running

    def _beat(self) -> None:
        self._beat_pending = False

    async def _close(self) -> None:
        await self._calls.close()
        self._stopped = True
        self._loop.stop()

    def _run(self) -> None:
        """Run the loop; an exception from a handler's task or callback ends the handler, not the loop."""
        asyncio.set_event_loop(self._loop)
        process_state.begin_thread()
        while not self._stopped:
            try:
                self._loop.run_forever()
            except BaseException as error:
                is_handlers, execution = raiser(error)
                if not is_handlers:
                    raise
                self._blame(execution, error)
            else:
                if not self._stopped:
                    logger.error("the event loop was stopped by a handler; it goes on")

    def _blame(self, execution: Execution | None, error: BaseException) -> None:
        words = errors.short_title(error)
        if execution is None:
            logger.error("%s left the event loop; it goes on", words)
            return
        logger.error(
            "a task or callback of %s/%s tried to end the event loop with %s; it goes on",
            execution.group.name, execution.name, words,
        )  # fmt: skip
        _, task = self._running.get(execution.id, (None, None))
        if task is not None:
            self._fatal[execution.id] = error
            self._loop.call_soon(task.cancel, context=Context())

    def _begin_pending(self) -> None:
        while len(self._tasks) < self._concurrency and (begun := self._pending.begin()) is not None:
            (execution, work), lane = begun
            task = HandlerTask(self._try(execution, work), loop=self._loop)
            task.execution = execution
            self._tasks[task] = execution
            task.add_done_callback(partial(self._ended_task, lane))

    def _ended_task(self, lane: str | None, task: asyncio.Task[None]) -> None:
        execution = self._tasks[task]
        fault = asyncio.CancelledError() if task.cancelled() else task.exception()
        if fault is not None:
            # It ended without an outcome: cancelled before its first step, or other code closed its coroutine.
            self._end(execution, raised(execution, fault, None, self._clock.now_us()))
        del self._tasks[task]
        self._pending.end(lane)
        self._begin_pending()

    async def _try(self, execution: Execution, work: Work) -> None:
        while not self._started.lease_is_sure and not self._started.taken_back:
            await asyncio.sleep(WAIT_FOR_LEASE_SECONDS)
        started_us, began = started_at(execution, self._clock), time.monotonic()
        limit = time_limit(execution, work)
        cell = self._started.begin(execution.id, started_us, began + limit + CANCEL_SECONDS)
        execution.cell = cell
        if self._started.taken_back:
            self._started.forget(cell)
            return
        run_log.begin()
        exchange = Exchange() if isinstance(work, HttpAction) else None
        limited = asyncio.timeout(limit)
        task = asyncio.current_task()
        assert task is not None
        self._running[execution.id] = execution.cancelled, task
        current.set(execution)
        try:
            async with limited:
                value = await self._begun(work, fire_of(execution, self._node, started_us), exchange)
        except BaseException as error:
            if asyncio.current_task(self._loop) is not task:
                # This coroutine is being closed from outside: there is no step left that could create an outcome.
                raise
            finished_us = self._since(started_us, began)
            if limited.expired():
                outcome = overran(execution, limit, started_us, finished_us)
            else:
                outcome = raised(execution, error, started_us, finished_us)
        else:
            outcome = returned(execution, value, started_us, self._since(started_us, began))
        if (fatal := self._fatal.get(execution.id)) is not None:
            outcome = raised(execution, fatal, started_us, outcome.finished_us)
        outcome.log = run_log.end()
        if not isinstance(work, HttpAction) and (left := process_state.left_by(execution, self._is_alone)):
            outcome = spoilt(outcome, left)
        if exchange is not None:
            outcome.exchange = exchange.text()
            mask_outcome(outcome, exchange.masking)
        self._end(execution, outcome)
        seconds = time.monotonic() - began
        self._pace.measured(work.name, seconds, self._concurrency)
        self._pace.measured(execution.group.id, seconds, self._concurrency)

    def _is_alone(self) -> bool:
        return len(self._started.running()) == 1

    def _end(self, execution: Execution, outcome: Outcome) -> None:
        self._running.pop(execution.id, None)
        self._fatal.pop(execution.id, None)
        if execution.cell >= 0:
            self._started.end(execution.cell)
        if not self._ended:
            self._loop.call_soon(self._report_ended)
        self._ended.append(outcome)

    def _begun(self, work: Work, fire: Fire, exchange: Exchange | None) -> Awaitable[Any]:
        if isinstance(work, HttpAction):
            return self._calls.call(work, fire, exchange or Exchange())
        made: Awaitable[Any] = work.function(fire)
        return made

    def _report_ended(self) -> None:
        """Report everything that ended in one turn of the loop to the recorder together."""
        self._report(self._ended)
        self._ended = []

    def _since(self, started_us: int, began: float) -> int:
        return started_us + round((time.monotonic() - began) * 1_000_000)
