"""NodeReport: what a node's heartbeat reports of its workers."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, Final

from timers.worker.child import Child
from timers.worker.memory import resident_bytes

MEMORY_SECONDS: Final = 10.0
"""Seconds between reads of the processes' memory."""

Report = tuple[int, int, int, dict[str, Any], bool]
"""Busy threads, busy async slots, bytes of memory, counters per worker and in total, whether all workers have started.
"""


class NodeReport:
    """Sums up the reports of the workers, including ended ones."""

    def __init__(self) -> None:
        self._ended = {"succeeded": 0, "retried": 0, "failed": 0, "skipped": 0}
        self._memory_at, self._memory = 0.0, 0

    def add(self, child: Child) -> None:
        """Keep the counts of a worker that ends."""
        vitals = child.vitals
        for word in self._ended:
            self._ended[word] += getattr(vitals, word)

    def make(self, children: Sequence[Child], retired: Sequence[Child]) -> Report:
        """Return the report. `retired`: workers that only finish what they run; they are not listed individually."""
        totals = dict(self._ended)
        vitals = [(child, child.vitals) for child in [*children, *retired]]
        for _, said in vitals:
            for word in totals:
                totals[word] += getattr(said, word)
        if time.monotonic() >= self._memory_at:
            self._memory_at = time.monotonic() + MEMORY_SECONDS
            self._memory = resident_bytes([os.getpid(), *(child.pid for child, _ in vitals)])
        workers = {
            str(child.number): {
                "pid": child.pid,
                "busy": said.busy,
                "busy_threads": said.busy_threads,
                "held": said.held,
                **{word: getattr(said, word) for word in self._ended},
            }
            for child, said in vitals[: len(children)]
        }
        return (
            sum(said.busy_threads for _, said in vitals),
            sum(said.busy_async for _, said in vitals),
            self._memory,
            {"workers": workers, **totals},
            bool(children) and all(said.pulse > 0 for _, said in vitals[: len(children)]),
        )
