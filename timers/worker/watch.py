"""Watch: since when this worker has looked for due work without a break.

What came due before that, and is still there, nobody could fire: it was missed.
"""

from __future__ import annotations

from typing import Final

LONGEST_PASS_US: Final = 5_000_000
"""The longest that one pass over the groups may take before the next look counts as the first of a new watch."""


class Watch:
    """Remembers the beginning of an unbroken series of looks, by the database's clock."""

    def __init__(self, look_ahead: float) -> None:
        """Begin with no look yet. `look_ahead`: seconds between two looks at the most."""
        self.since_us: int | None = None
        """The first look of the series (microseconds since 1970 UTC); None before the first look."""
        self._longest_us = round(look_ahead * 1_000_000) + LONGEST_PASS_US
        self._last_us = 0
        self._is_broken = True

    def looked(self, now_us: int, *, is_paused: bool = False) -> None:
        """A look succeeded at `now_us`. `is_paused`: the cluster is paused, so nothing could be fired."""
        if self._is_broken or now_us - self._last_us > self._longest_us:
            self.since_us = now_us
        self._last_us, self._is_broken = now_us, is_paused

    def broke(self) -> None:
        """A look failed, or none was allowed: the next one begins a new series."""
        self._is_broken = True
