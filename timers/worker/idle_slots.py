"""Idle slots: threads and places on the event loop that are idle and not needed by executions claimed ahead.

Capacity counts executions claimed ahead of their instant as if all of them ran at once. Quick work of many instants can
fill a worker in that count while most of its threads are idle; slow work that is due would wait as long as such work
arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from timers.engine.execution import Execution
from timers.worker.capacity import ROUNDING, SLOW_SECONDS, Slots, slots_of
from timers.worker.run_time_mean import Pace

Idle = Callable[[], int]


class IdleSlots:
    """Counts the idle slots of a worker; the claimer uses it when Capacity has no room."""

    def __init__(
        self,
        threads: Idle,
        async_slots: Idle,
        ahead: Callable[[], Sequence[Execution]],
        pace: Pace,
        look_ahead: float,
    ) -> None:
        """Create the counter.

        Args:
            threads: returns the number of threads that are idle now.
            async_slots: returns the number of places on the event loop that are idle now.
            ahead: returns the executions that wait for their instant.
            pace: measured run times.
            look_ahead: maximum seconds that executions wait for their instant.
        """
        self._idle = {Slots.THREADS: threads, Slots.ASYNC: async_slots}
        self._ahead = ahead
        self._pace = pace
        self._look_ahead = look_ahead

    def __call__(self, slots: Slots) -> int:
        """Return how many executions can start now; those that wait count by their mean over the look-ahead."""
        idle = self._idle[slots]()
        if idle < 1:
            return 0
        needed = sum(self._part(each) for each in self._ahead() if slots_of(each.action) is slots)
        return max(int(idle - needed + ROUNDING), 0)

    def _part(self, execution: Execution) -> float:
        seconds = self._pace.seconds(execution.group.id)
        return 1.0 if seconds >= SLOW_SECONDS else min(seconds / self._look_ahead, 1.0)
