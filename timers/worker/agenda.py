"""The agenda: executions claimed ahead, each waiting for its instant by the database clock."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Collection, Sequence
from itertools import count

from timers.clock import DatabaseClock
from timers.engine.execution import Execution
from timers.worker.pulse import WatchedThread

SPIN_S = 0.0002
"""Seconds before the instant during which the thread does not sleep: a timed wait overshoots by about as much."""


class Agenda:
    """A heap by instant, and a thread that passes on executions when they are due, never earlier."""

    def __init__(self, clock: DatabaseClock, hand_over: Callable[[Sequence[Execution]], None]) -> None:
        self._clock = clock
        self._hand_over = hand_over
        self._heap: list[tuple[int, int, Execution]] = []
        self._order = count()
        self._changed = threading.Condition()
        self._stopped = False
        self.thread = WatchedThread("agenda", self._run)

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    def __len__(self) -> int:
        return len(self._heap)

    def overdue_since(self) -> float:
        """Return time.monotonic() at which the first remaining execution became due; 0: none is due."""
        with self._changed:
            due = self._clock.monotonic_at(self._heap[0][0]) if self._heap else 0.0
        return due if due <= time.monotonic() else 0.0

    def add(self, executions: Sequence[Execution]) -> None:
        """Add executions; those whose instant has come are passed on at once."""
        now_us = self._clock.now_us()
        due = [execution for execution in executions if execution.start_us <= now_us]
        if len(due) < len(executions):
            with self._changed:
                for execution in executions:
                    if execution.start_us > now_us:
                        heapq.heappush(self._heap, (execution.start_us, next(self._order), execution))
                self._changed.notify()
        if due:
            self._hand_over(due)

    def waiting(self) -> list[Execution]:
        """Return the executions that wait for their instant, in no particular order."""
        with self._changed:
            return [entry[2] for entry in self._heap]

    def take(self, ids: Collection[str] | None = None) -> list[Execution]:
        """Remove and return executions before their instant: those with the given ids, or all."""
        with self._changed:
            taken = [entry[2] for entry in self._heap if ids is None or entry[2].id in ids]
            if taken:
                gone = set(map(id, taken))
                self._heap = [entry for entry in self._heap if id(entry[2]) not in gone]
                heapq.heapify(self._heap)
        return taken

    def stop(self) -> None:
        """Stop the thread after its present batch; remaining executions are kept for take()."""
        self.thread.expect_end()
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self.thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._heap and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                wait = self._clock.monotonic_at(self._heap[0][0]) - time.monotonic()
                if wait > SPIN_S:
                    self._changed.wait(wait - SPIN_S)
                    continue
                due = self._pop_due()
            if due:
                self._hand_over(due)

    def _pop_due(self) -> list[Execution]:
        while (now_us := self._clock.now_us()) < self._heap[0][0]:
            pass
        due = []
        while self._heap and self._heap[0][0] <= now_us:
            due.append(heapq.heappop(self._heap)[2])
        return due
