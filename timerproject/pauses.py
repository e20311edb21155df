"""How long to wait before what has died is started again: longer after each death, until one life was long enough."""

from __future__ import annotations

from dataclasses import dataclass

SHORTEST_WAIT, LONGEST_WAIT = 1.0, 30.0
SETTLED_AFTER = 60.0
"""Seconds that a life must have lasted for the next death to count as the first again."""


@dataclass
class Pauses:
    """The deaths of one thing; instants are of the monotonic clock, in seconds."""

    deaths: int = 0
    started_at: float = 0.0

    def started(self, now: float) -> None:
        """It lives from now on."""
        self.started_at = now

    def next(self, now: float) -> float:
        """It was found dead: the seconds to wait."""
        self.deaths = 1 if now - self.started_at > SETTLED_AFTER else self.deaths + 1
        wait: float = SHORTEST_WAIT * 2.0 ** (self.deaths - 1)
        return min(wait, LONGEST_WAIT)
