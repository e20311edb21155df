"""Relief: release executions that cannot start in time here, uncounted, while another worker has free threads.

A worker claims ahead of the instant. If in the meantime its threads are taken by handlers that run longer than before,
executions that wait for them would start late although a thread of another worker is free.
"""

from __future__ import annotations

import heapq
import logging
import math
import time
from collections.abc import Sequence
from typing import Final

from timers.clock import DatabaseClock
from timers.engine.execution import Execution, Holder
from timers.engine.release import release
from timers.engine.wakeup import wake_workers
from timers.worker.agenda import Agenda
from timers.worker.capacity import AHEAD_SECONDS, Capacity, Slots, slots_of
from timers.worker.run_time_mean import Pace
from timers.worker.sharing import Sharing
from timers.worker.thread_pool import ThreadPool

PAUSE_SECONDS: Final = 0.1
"""Minimum seconds between checks of the other workers for free threads."""

logger = logging.getLogger(__name__)


class Relief:
    """Finds and releases executions that would start late; called by the claimer, in its thread."""

    def __init__(
        self,
        holder: Holder,
        clock: DatabaseClock,
        agenda: Agenda,
        pool: ThreadPool,
        pace: Pace,
        capacity: Capacity,
        sharing: Sharing,
    ) -> None:
        self._holder = holder
        self._clock = clock
        self._agenda = agenda
        self._pool = pool
        self._pace = pace
        self._capacity = capacity
        self._sharing = sharing
        self._next_at = 0.0
        self._leaving: list[Execution] = []
        """Removed from the queues and not known to be released: these must not begin here any more."""

    def take(self) -> list[Execution]:
        """Return the executions that were to be released, after the claimer has ended."""
        leaving, self._leaving = self._leaving, []
        return leaving

    def step(self) -> None:
        """Release executions that would start late here and can start elsewhere."""
        if self._leaving:
            self._give_back()
        if not self._pool.is_full or time.monotonic() < self._next_at:
            return
        waiting = self._pool.queued() + [each for each in self._agenda.waiting() if _needs_thread(each)]
        waiting.sort(key=lambda execution: execution.start_us)
        now_us = self._clock.now_us()
        entries = [((each.start_us - now_us) / 1_000_000, self._pace.seconds(each.group.id)) for each in waiting]
        late = late_starts(self._pool.seconds_until_free(), entries)
        if not late:
            return
        self._next_at = time.monotonic() + PAUSE_SECONDS
        chosen = self._sharing.startable_elsewhere([waiting[number] for number in late], Slots.THREADS)
        if chosen:
            self._leaving = self._pool.take(chosen) + self._agenda.take(chosen)
            self._give_back()

    def _give_back(self) -> None:
        # If it fails, they are kept: the response to a successful commit may have been lost, and then they run
        # elsewhere.
        released = release(self._holder, self._leaving, self._clock.now_us())
        left = set(map(id, released.left))
        gone = [execution for execution in self._leaving if id(execution) not in left]
        self._leaving = list(released.left)
        self._capacity.remove(gone)
        if released.given_back:
            wake_workers()
            logger.info("gave %d executions back that would have started late here", released.given_back)


def late_starts(free_in: Sequence[float], entries: Sequence[tuple[float, float]]) -> list[int]:
    """Return the positions of the entries that cannot start within AHEAD_SECONDS of their instant.

    Args:
        free_in: seconds until each thread is free; infinite if unknown.
        entries: seconds until the instant of each execution (negative: it has passed), ascending, and its run time in
            seconds.
    """
    threads = list(free_in)
    heapq.heapify(threads)
    late = []
    for position, (start, seconds) in enumerate(entries):
        begins = max(threads[0], start)
        if begins > max(start, 0.0) + AHEAD_SECONDS:
            late.append(position)
        else:
            heapq.heapreplace(threads, begins + (0.0 if math.isinf(seconds) else seconds))
    return late


def _needs_thread(execution: Execution) -> bool:
    return slots_of(execution.action) is Slots.THREADS
