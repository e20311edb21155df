"""Watch: since when this worker has polled for due work without a break.

Work that became due before that and is still there could not be fired by any worker: it was missed.
"""

from __future__ import annotations

from typing import Final

LONGEST_PASS_US: Final = 5_000_000
"""Maximum duration of one pass over the groups; after a longer one the next poll begins a new series."""


class Watch:
    """Stores the beginning of an unbroken series of polls, by the database's clock."""

    def __init__(self, look_ahead: float) -> None:
        """Create the watch, without any poll yet. `look_ahead`: maximum seconds between two polls."""
        self.since_us: int | None = None
        """The first poll of the series (microseconds since 1970 UTC); None before the first poll."""
        self._longest_us = round(look_ahead * 1_000_000) + LONGEST_PASS_US
        self._last_us = 0
        self._is_broken = True

    def looked(self, now_us: int, *, is_paused: bool = False) -> None:
        """Record a successful poll at `now_us`. `is_paused`: the cluster is paused, so nothing could be fired."""
        if self._is_broken or now_us - self._last_us > self._longest_us:
            self.since_us = now_us
        self._last_us, self._is_broken = now_us, is_paused

    def broke(self) -> None:
        """Record that a poll failed, or was not allowed: the next one begins a new series."""
        self._is_broken = True
