"""Monitors the components of a worker: claimer, agenda, handler threads, event loop, recorder, listener."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from timers.worker import process_state
from timers.worker.agenda import Agenda
from timers.worker.event_loop import EventLoop
from timers.worker.pulse import Fault, Watch, WatchedThread
from timers.worker.thread_pool import ThreadPool

BLOCKED_SECONDS: Final = 2.5
"""Seconds after which a component that should react at once counts as hanging."""


class Components:
    """Finds the first component that has ended or hangs; the worker's main thread calls it a few times per second."""

    def __init__(
        self,
        agenda: Agenda,
        pool: ThreadPool,
        loop: EventLoop,
        on_database: Sequence[WatchedThread],
        *others: WatchedThread,
    ) -> None:
        self._agenda = agenda
        self._pool = pool
        self._loop = loop
        self._on_database = on_database
        """Threads whose steps wait for the database."""
        self._threads = [*on_database, agenda.thread, loop.thread, *pool.threads, *others]
        self._watch = Watch()

    def fault(self, now: float, *, database_answers: bool) -> Fault | None:
        """Return why the worker must be replaced; None: it need not be.

        Args:
            now: time.monotonic().
            database_answers: False while the node's heartbeats fail: steps on the database can only wait then.
        """
        self._watch.begin(now)
        if (words := process_state.not_restored()) is not None:
            # It drains: running executions may finish.
            return Fault(f"it cannot put back {words}", may_recover=True)
        if (ended := self._watch.ended(self._threads)) is not None:
            thread, cause = ended
            execution = self._pool.running_in(thread.name)
            return Fault(f"{thread.name} ended: {cause}", "" if execution is None else execution.id)
        if database_answers and (hanging := self._watch.hanging(self._on_database)) is not None:
            thread, seconds = hanging
            return Fault(f"{thread.name} hangs: its step has run for {seconds:.0f} s")
        if self._watch.lasts("agenda", self._agenda.overdue_since()) > BLOCKED_SECONDS:
            return Fault(f"agenda hangs: what is due has not been handed over for {BLOCKED_SECONDS} s")
        if self._watch.lasts("handlers", self._pool.stalled_since()) > BLOCKED_SECONDS:
            return Fault(f"handler threads hang: none of the free ones has taken work for {BLOCKED_SECONDS} s")
        if self._watch.lasts("event-loop", self._loop.blocked_since()) > BLOCKED_SECONDS:
            return self._blocked_loop()
        return None

    def _blocked_loop(self) -> Fault:
        execution, place = self._loop.blocker()
        words = f"event-loop is blocked for {BLOCKED_SECONDS} s by code that does not await, at {place}"
        if execution is None:
            return Fault(words)
        # A background task may block after its handler has ended; no limit ends that.
        is_running = self._loop.runs(execution)
        return Fault(f"{words}, of {execution.group.name}/{execution.name}", execution.id, may_recover=is_running)
