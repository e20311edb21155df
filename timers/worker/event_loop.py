"""Async handlers and HTTP calls: one event loop in a thread of its own, hundreds of them at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Collection, Sequence
from functools import partial
from typing import Any, Final

from timers import conf
from timers.actions.http import HttpAction
from timers.clock import DatabaseClock
from timers.handlers import Cancellation, Fire
from timers.lifecycle.execution import Execution, fire_of
from timers.lifecycle.outcome import Outcome
from timers.worker import run_log
from timers.worker.attempts import Report, Work, overran, raised, returned, started_at, time_limit
from timers.worker.http_call import HttpCalls
from timers.worker.http_exchange import Exchange
from timers.worker.lanes import Lanes
from timers.worker.masking import mask_outcome
from timers.worker.pace import Pace
from timers.worker.started import Started
from timers.worker.thread_pool import WAIT_FOR_LEASE_SECONDS

CANCEL_SECONDS: Final = 1.0
"""What the loop has to end by itself what reached its limit; only then does the supervisor count it as overrunning."""

Awaited = tuple[Execution, Work]


class EventLoop:
    """Runs async handlers and calls, at most `concurrency` at once; what reaches its limit is cancelled.

    Calls of one target run in a lane, so that one that answers slowly takes no more than its share.
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
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: dict[str, tuple[Cancellation, asyncio.Task[None] | None]] = {}
        self._ended: list[Outcome] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="event-loop", daemon=True)

    def start(self) -> None:
        """Start the loop's thread."""
        self._thread.start()

    @property
    def busy(self) -> int:
        """Handlers and calls that run or whose outcome is not reported yet."""
        return len(self._tasks) + len(self._ended)

    def submit(self, items: Sequence[Awaited]) -> None:
        """Queue executions whose instant has come."""
        self._pending.put([(item, item[1].lane if isinstance(item[1], HttpAction) else None) for item in items])
        self._loop.call_soon_threadsafe(self._begin_pending)

    def take(self, ids: Collection[str] | None = None) -> list[Execution]:
        """Take back what has not begun: the executions of the given ids, or all."""
        return [execution for execution, _ in self._pending.take(lambda item: ids is None or item[0].id in ids)]

    def cancel(self, ids: Collection[str]) -> None:
        """Ask running handlers to end: they are cancelled, once, and see it in fire.cancelled."""
        for execution in ids:
            cancellation, task = self._running.get(execution, (None, None))
            if cancellation is not None and task is not None and not cancellation.is_set():
                cancellation.set()
                self._loop.call_soon_threadsafe(task.cancel)

    def stop(self) -> None:
        """End the loop and its connections; what still runs is left where it is."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop)

    async def _close(self) -> None:
        await self._calls.close()
        self._loop.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _begin_pending(self) -> None:
        while len(self._tasks) < self._concurrency and (begun := self._pending.begin()) is not None:
            (execution, work), lane = begun
            task = self._loop.create_task(self._try(execution, work))
            self._tasks.add(task)
            task.add_done_callback(partial(self._ended_task, lane))

    def _ended_task(self, lane: str | None, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
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
        self._running[execution.id] = execution.cancelled, asyncio.current_task()
        try:
            async with limited:
                value = await self._begun(work, fire_of(execution, self._node, started_us), exchange)
        except GeneratorExit:
            # The loop has ended, and this with it: there is nobody to be told.
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a handler raises is its outcome
            finished_us = self._since(started_us, began)
            if limited.expired():
                outcome = overran(execution, limit, started_us, finished_us)
            else:
                outcome = raised(execution, error, started_us, finished_us)
        else:
            outcome = returned(execution, value, started_us, self._since(started_us, began))
        self._running.pop(execution.id, None)
        outcome.log = run_log.end()
        if exchange is not None:
            outcome.exchange = exchange.text()
            mask_outcome(outcome, exchange.masking)
        self._started.end(cell)
        seconds = time.monotonic() - began
        self._pace.measured(work.name, seconds, self._concurrency)
        self._pace.measured(execution.group.id, seconds, self._concurrency)
        if not self._ended:
            self._loop.call_soon(self._report_ended)
        self._ended.append(outcome)

    def _begun(self, work: Work, fire: Fire, exchange: Exchange | None) -> Awaitable[Any]:
        if isinstance(work, HttpAction):
            return self._calls.call(work, fire, exchange or Exchange())
        made: Awaitable[Any] = work.function(fire)
        return made

    def _report_ended(self) -> None:
        """Everything that ended in one turn of the loop goes to the recorder together."""
        self._report(self._ended)
        self._ended = []

    def _since(self, started_us: int, began: float) -> int:
        return started_us + round((time.monotonic() - began) * 1_000_000)
