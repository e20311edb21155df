"""Left marks: avoid repeating, at every poll, a scan over very many due rows that are left to other nodes.

Rows whose handler is unknown here stay at the head of the due index for as long as no node knows it. A scan that took
long over them must be a small part of a worker's time: until the next one the index is read from a mark just below the
present, so that newly due rows are found at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from timers.engine.due import Part

LONG_SECONDS: Final = 0.05
"""A shorter scan is repeated at every poll."""
REST_RATIO: Final = 20
"""The next full scan waits this many times the scan's duration, so scans take at most a twentieth of the time."""
MAX_REST_SECONDS: Final = 60.0
RECENT_US: Final = 1_000_000
"""Distance of the mark below the present: rows are committed slightly later than their instant."""


@dataclass(slots=True)
class LeftMarks:
    """The marks of one worker, by part of the due index; and the groups whose ready rows are skipped for now."""

    monotonic: Callable[[], float] = time.monotonic
    low_us: dict[Part, int] = field(default_factory=dict)
    """Instants (microseconds of the group's clock) below which only rows for other nodes were found."""
    _until: dict[Part, float] = field(default_factory=dict)
    _resting: dict[int, float] = field(default_factory=dict)

    def set(self, part: Part, now_us: int, seconds: float) -> None:
        """Record the duration in seconds of a scan that found everything for this worker."""
        if seconds >= LONG_SECONDS and part not in self._until:
            self.low_us[part] = now_us - RECENT_US
            self._until[part] = self.monotonic() + _rest(seconds)

    def rest(self, group_id: int, seconds: float) -> None:
        """Record the duration in seconds of a scan of the ready executions of a group."""
        if seconds >= LONG_SECONDS:
            self._resting[group_id] = self.monotonic() + _rest(seconds)

    def is_resting(self, group_id: int) -> bool:
        """Return whether the ready executions of the group are skipped for now."""
        return self.monotonic() < self._resting.get(group_id, 0.0)

    def above(self, part: Part, low_us: int | None) -> int | None:
        """Return the higher of a low mark and the part's own; None: there is neither."""
        own = self.low_us.get(part)
        return low_us if own is None else max(own, low_us or own)

    def over(self, low_marks: Mapping[Part, int]) -> Mapping[Part, int]:
        """Return the low marks combined with these, except those that have expired."""
        if not self.low_us:
            return low_marks
        now = self.monotonic()
        for part in [part for part, until in self._until.items() if until <= now]:
            del self._until[part], self.low_us[part]
        return {**low_marks, **{part: max(low, low_marks.get(part, low)) for part, low in self.low_us.items()}}


def _rest(seconds: float) -> float:
    return min(seconds * REST_RATIO, MAX_REST_SECONDS)
