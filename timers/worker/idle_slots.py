"""Idle slots: threads and places on the event loop in which nothing runs, and that nothing claimed ahead is to need.

Capacity counts what is claimed ahead of its instant as if all of it were to run at once. Quick work of many instants
can fill a worker in that count while most of its threads are idle; what is slow and due would wait for as long as such
work comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from timers.engine.execution import Execution
from timers.worker.capacity import ROUNDING, SLOW_SECONDS, Slots, slots_of
from timers.worker.run_time_mean import Pace

Idle = Callable[[], int]


class IdleSlots:
    """Counts the idle slots of a worker; asked by the claimer where Capacity has no room."""

    def __init__(
        self,
        threads: Idle,
        async_slots: Idle,
        ahead: Callable[[], Sequence[Execution]],
        pace: Pace,
        look_ahead: float,
    ) -> None:
        """`threads`, `async_slots`: how many are idle now. `ahead`: what waits for its instant, `look_ahead` seconds at
        most.
        """
        self._idle = {Slots.THREADS: threads, Slots.ASYNC: async_slots}
        self._ahead = ahead
        self._pace = pace
        self._look_ahead = look_ahead

    def __call__(self, slots: Slots) -> int:
        """How many executions can start now; what waits for its instant is counted by its mean over the look-ahead."""
        idle = self._idle[slots]()
        if idle < 1:
            return 0
        needed = sum(self._part(each) for each in self._ahead() if slots_of(each.action) is slots)
        return max(int(idle - needed + ROUNDING), 0)

    def _part(self, execution: Execution) -> float:
        seconds = self._pace.seconds(execution.group.id)
        return 1.0 if seconds >= SLOW_SECONDS else min(seconds / self._look_ahead, 1.0)
