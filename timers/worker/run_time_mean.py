"""How long handlers take: an exponentially weighted mean per handler and per group.

The executor takes quick handlers in chunks and slow ones individually; the claimer claims no more than can start soon.
A handler that has never run counts as slow: a burst of it is shared by all workers instead of filling the first one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

WEIGHT: Final = 0.2
"""Weight of the newest measurement."""
UNKNOWN: Final = math.inf
"""Seconds assumed for a handler that has not run yet."""


class Pace:
    """Mean run time in seconds by key; written by many threads, where a lost update does no harm."""

    def __init__(self) -> None:
        self._means: dict[object, float] = {}
        self._parallel: dict[object, int] = {}

    def seconds(self, key: object) -> float:
        """Return the mean of that key; infinite if it is unknown."""
        return self._means.get(key, UNKNOWN)

    def parallel(self, key: object, otherwise: int) -> int:
        """Return how many of that key's handlers run at once (threads or tasks)."""
        return self._parallel.get(key, otherwise)

    def measured(self, key: object, seconds: float, parallel: int) -> None:
        """Update the mean with a measurement."""
        mean = self._means.get(key)
        self._means[key] = seconds if mean is None else mean + WEIGHT * (seconds - mean)
        self._parallel[key] = parallel

    def learn(self, means: Mapping[int, float]) -> None:
        """Add means that other or earlier workers have recorded; values measured here are kept."""
        for key, seconds in means.items():
            self._means.setdefault(key, seconds)
