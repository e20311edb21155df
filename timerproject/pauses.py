"""Backoff between restarts: longer after each death, until one life was long enough."""

from __future__ import annotations

from dataclasses import dataclass

SHORTEST_WAIT, LONGEST_WAIT = 1.0, 30.0
SETTLED_AFTER = 60.0
"""Seconds that a life must have lasted for the next death to count as the first again."""


@dataclass
class Pauses:
    """The deaths of one process; instants are of the monotonic clock, in seconds."""

    deaths: int = 0
    started_at: float = 0.0

    def started(self, now: float) -> None:
        """Record that the process was started at `now`."""
        self.started_at = now

    def next(self, now: float) -> float:
        """Record a death at `now` and return the seconds to wait before the restart."""
        self.deaths = 1 if now - self.started_at > SETTLED_AFTER else self.deaths + 1
        wait: float = SHORTEST_WAIT * 2.0 ** (self.deaths - 1)
        return min(wait, LONGEST_WAIT)
