"""Plain handlers: a fixed number of threads that take executions from one queue.

A thread takes quick handlers in chunks (waking it for each would cost more than the handler) and slow or unknown ones
individually. If one item of a chunk takes long after all, the rest of the chunk is returned to the queue.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from contextvars import copy_context
from functools import partial
from typing import Final

from django.db import connections

from timers.clock import DatabaseClock
from timers.engine import errors
from timers.engine.execution import Execution, fire_of
from timers.engine.outcome import Outcome
from timers.handlers import Cancellation, Handler
from timers.worker import run_log
from timers.worker.attempts import Report, raised, returned, started_at, time_limit
from timers.worker.capacity import occupancy
from timers.worker.current import current
from timers.worker.handler_state import HandlerState
from timers.worker.in_flight import Started
from timers.worker.pulse import WatchedThread
from timers.worker.run_time_mean import Pace

logger = logging.getLogger(__name__)

CHUNK_SECONDS: Final = 0.002
"""Intended duration of a chunk of quick handlers, in seconds."""
MAX_CHUNK: Final = 100
LONG_SECONDS: Final = 0.05
"""A handler that runs longer than its mean by this many seconds may run for any time."""
STALLED_SECONDS: Final = 0.02
"""Seconds after which an item of a chunk counts as long, and the rest of the chunk is returned to the queue."""

WAIT_FOR_LEASE_SECONDS: Final = 0.02

Item = tuple[Execution, Handler]


class _Taker:
    """One thread and its present chunk."""

    __slots__ = (
        "chunk", "execution", "handler", "item_began", "outcomes", "started_us", "state", "thread", "working",
    )  # fmt: skip

    def __init__(self, thread: WatchedThread) -> None:
        self.thread = thread
        self.chunk: deque[Item] = deque()
        self.outcomes: list[Outcome] = []
        """Outcomes of this chunk that are not reported yet."""
        self.execution: Execution | None = None
        """The running item, until it has its outcome."""
        self.started_us: int | None = None
        self.state: HandlerState
        """State of the thread; created by the thread itself."""
        self.item_began = 0.0
        """time.monotonic() at the start of the running item; 0: none runs."""
        self.handler = ""
        """The name of the handler that runs, or ran last."""
        self.working = False
        """Whether the thread has taken a chunk whose outcomes are not reported yet."""


class ThreadPool:
    """Runs plain handlers and reports their outcomes; see the module's docstring."""

    def __init__(
        self, node: str, threads: int, clock: DatabaseClock, started: Started, pace: Pace, report: Report
    ) -> None:
        self._node = node
        self._clock = clock
        self._started = started
        self._pace = pace
        self._report = report
        self._queue: deque[Item] = deque()
        self._work = threading.Condition()
        self._stopped = False
        self._running: dict[str, Cancellation] = {}
        self._takers = [
            _Taker(WatchedThread(f"handler-{number}", partial(self._run, number - 1)))
            for number in range(1, threads + 1)
        ]
        self._waiting: tuple[Item | None, float] | None = None
        """The first item of the queue while a thread is free, and time.monotonic() since when it has been first."""

    def start(self) -> None:
        """Start the threads."""
        for taker in self._takers:
            taker.thread.start()

    @property
    def threads(self) -> list[WatchedThread]:
        """The threads, to be monitored."""
        return [taker.thread for taker in self._takers]

    def running_in(self, thread: str) -> Execution | None:
        """Return the execution that the thread of that name runs."""
        return next((taker.execution for taker in self._takers if taker.thread.name == thread), None)

    def stalled_since(self) -> float:
        """Return time.monotonic() since when items have waited although a thread is free; 0: none has.

        Call it regularly.
        """
        if not self._queue or all(taker.working for taker in self._takers):
            self._waiting = None
        elif self._waiting is None or self._waiting[0] is not self._queue_head():
            self._waiting = (self._queue_head(), time.monotonic())
        return 0.0 if self._waiting is None else self._waiting[1]

    def _queue_head(self) -> Item | None:
        try:
            return self._queue[0]
        except IndexError:
            return None

    @property
    def busy(self) -> int:
        """Number of threads that run a handler or have not reported its outcome yet."""
        return sum(taker.working for taker in self._takers)

    @property
    def running(self) -> int:
        """Number of handlers that run now."""
        return len(self._running)

    @property
    def idle(self) -> int:
        """Number of threads that are idle and for which nothing is queued."""
        with self._work:
            return max(len(self._takers) - self.busy - len(self._queue), 0)

    @property
    def is_full(self) -> bool:
        """Whether every thread runs a handler that is slow, or has run longer than a quick one."""
        now = time.monotonic()
        return all(
            began and max(now - began, self._pace.seconds(taker.handler)) > LONG_SECONDS
            for taker in self._takers
            for began in (taker.item_began,)
        )

    def seconds_until_free(self) -> list[float]:
        """Return the seconds until each thread is free, by the mean run time of its handler; infinite if unknown."""
        now = time.monotonic()
        return [_seconds_left(now - began, self._pace.seconds(taker.handler)) if (began := taker.item_began) else 0.0
                for taker in self._takers]  # fmt: skip

    def overrunning(self) -> float:
        """Return the number of threads that run much longer than the mean, minus the part that the mean covers.

        By the group's mean, as executions are counted: a handler may be quick in one group and slow in another.
        """
        now = time.monotonic()
        return sum(
            1.0 - occupancy(seconds)
            for taker in self._takers
            if (began := taker.item_began)
            and (execution := taker.execution) is not None
            and math.isinf(_seconds_left(now - began, seconds := self._pace.seconds(execution.group.id)))
        )

    def queued(self) -> list[Execution]:
        """Return the executions that wait for a thread, in order."""
        with self._work:
            return [execution for execution, _ in self._queue]

    def submit(self, items: Sequence[Item]) -> None:
        """Queue executions whose instant has come."""
        with self._work:
            self._queue.extend(items)
            self._work.notify(min(len(items), len(self._takers)))

    def take(self, ids: Collection[str] | None = None) -> list[Execution]:
        """Remove and return executions that have not begun: those with the given ids, or all."""
        with self._work:
            self._put_back_chunks(older_than=0)
            taken = [item[0] for item in self._queue if ids is None or item[0].id in ids]
            gone = set(map(id, taken))
            self._queue = deque(item for item in self._queue if id(item[0]) not in gone)
            self._work.notify_all()
        return taken

    def cancel(self, ids: Collection[str]) -> None:
        """Request running handlers to end: fire.cancelled is set."""
        for execution in ids:
            running = self._running.get(execution)
            if running is not None:
                running.set()

    def spread_stalled_chunks(self) -> None:
        """Put items that wait for a long-running one back into the queue; called a few times per second."""
        with self._work:
            if self._put_back_chunks(older_than=STALLED_SECONDS):
                self._work.notify_all()

    def stop(self) -> None:
        """Stop the threads after what they run now."""
        for taker in self._takers:
            taker.thread.expect_end()
        with self._work:
            self._stopped = True
            self._work.notify_all()

    def _put_back_chunks(self, older_than: float) -> bool:
        now = time.monotonic()
        moved = False
        for taker in self._takers:
            if taker.chunk and taker.item_began and now - taker.item_began >= older_than:
                # popleft is atomic: an item goes either to its thread or back, never both.
                while True:
                    try:
                        self._queue.append(taker.chunk.popleft())
                    except IndexError:
                        break
                moved = True
        return moved

    def _run(self, index: int) -> None:
        taker = self._takers[index]
        taker.state = HandlerState(self._is_alone)
        while True:
            try:
                while self._take_chunk(taker):
                    self._work_off(taker)
                return
            except BaseException as error:  # noqa: BLE001 - see _interrupted
                self._interrupted(taker, error)

    def _work_off(self, taker: _Taker) -> None:
        while True:
            try:
                execution, handler = taker.chunk.popleft()
            except IndexError:
                break
            taker.execution = execution
            outcome = self._call(taker, execution, handler)
            if outcome is not None:
                taker.outcomes.append(outcome)
            taker.execution = None
        self._report_ended(taker)
        _close_unusable_connections()

    def _report_ended(self, taker: _Taker) -> None:
        outcomes, taker.outcomes = taker.outcomes, []
        if outcomes:
            self._report(outcomes)
        taker.working = False

    def _interrupted(self, taker: _Taker, error: BaseException) -> None:
        """Handle an exception in the pool's own code: it was sent to this thread after the handler's end."""
        logger.error("%s was interrupted by %s; it goes on", taker.thread.name, errors.short_title(error))
        execution, taker.execution = taker.execution, None
        if execution is not None:
            self._running.pop(execution.id, None)
            if execution.cell >= 0:
                self._started.end(execution.cell)
            taker.item_began = 0.0
            taker.outcomes.append(raised(execution, error, taker.started_us, self._clock.now_us()))
        self._report_ended(taker)

    def _is_alone(self) -> bool:
        return len(self._started.running()) == 1

    def _take_chunk(self, taker: _Taker) -> bool:
        with self._work:
            if taker.chunk:  # It was interrupted.
                taker.working = True
                return True
            while not self._queue:
                if self._stopped:
                    return False
                self._work.wait()
            taker.working = True
            handler = self._queue[0][1]
            seconds = self._pace.seconds(handler.name)
            size = min(MAX_CHUNK, int(CHUNK_SECONDS / seconds)) if seconds > 0 else MAX_CHUNK
            taker.chunk.append(self._queue.popleft())
            while len(taker.chunk) < size and self._queue and self._queue[0][1] is handler:
                taker.chunk.append(self._queue.popleft())
            return True

    def _call(self, taker: _Taker, execution: Execution, handler: Handler) -> Outcome | None:
        while not self._started.lease_is_sure and not self._started.taken_back:
            # Frozen or disconnected: a heartbeat makes the lease certain again, or the supervisor ends this process.
            time.sleep(WAIT_FOR_LEASE_SECONDS)
        taker.started_us = None
        started_us = started_at(execution, self._clock)
        taker.handler = handler.name
        taker.item_began = began = time.monotonic()
        cell = self._started.begin(execution.id, started_us, began + time_limit(execution, handler))
        execution.cell = cell
        if self._started.taken_back:
            # The supervisor gives it to others, at the latest when this process ends.
            self._started.forget(cell)
            taker.item_began = 0.0
            return None
        taker.started_us = started_us
        run_log.begin()
        current.set(execution)
        self._running[execution.id] = execution.cancelled
        try:
            value = copy_context().run(handler.function, fire_of(execution, self._node, started_us))
        except BaseException as error:  # noqa: BLE001 - whatever a handler raises is its outcome
            seconds = time.monotonic() - began
            outcome = raised(execution, error, started_us, started_us + round(seconds * 1_000_000))
        else:
            seconds = time.monotonic() - began
            outcome = returned(execution, value, started_us, started_us + round(seconds * 1_000_000))
        self._running.pop(execution.id, None)
        outcome.log = run_log.end()
        outcome = taker.state.judge(execution, outcome)
        self._started.end(cell)
        taker.item_began = 0.0
        self._pace.measured(handler.name, seconds, len(self._takers))
        self._pace.measured(execution.group.id, seconds, len(self._takers))
        return outcome


def _seconds_left(elapsed: float, mean: float) -> float:
    """Return the seconds until a handler ends that has run for `elapsed` seconds; infinite if the mean cannot tell."""
    if math.isinf(mean) or elapsed > 2 * mean + LONG_SECONDS:
        return math.inf
    return max(mean - elapsed, 0.0)


def _close_unusable_connections() -> None:
    """Close connections that a handler left broken, so that the next one gets a working one."""
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None:
            connection.close_if_unusable_or_obsolete()
