"""Throttle: a rate limit per identity, by a token bucket, in this process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

MOST_IDENTITIES: Final = 10_000
_ROUNDING: Final = 1e-9


class Throttle:
    """Token buckets that fill with time; a request takes one token. Safe for use by several threads.

    At most `most` identities are stored: the least recently used one is dropped first; its bucket is full again.
    """

    def __init__(self, most: int = MOST_IDENTITIES) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when they were counted

    def take(self, identity: str, rate: float, burst: float, now: float) -> float:
        """Take a token. Return the seconds to wait until there is one; 0 if it was taken.

        Args:
            identity: whose bucket.
            rate: tokens that are added per second.
            burst: maximum tokens of a bucket, at least 1.
            now: a reading of the monotonic clock in seconds.
        """
        with self._lock:
            tokens = self._filled(identity, rate, burst, now)
            wait = _seconds_to_one(tokens, rate)
            self._buckets[identity] = (tokens if wait else tokens - 1, now)
            self._buckets.move_to_end(identity)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
            return wait

    def give_back(self, identity: str, burst: float) -> None:
        """Put back a token that was taken but not used."""
        with self._lock:
            if identity in self._buckets:
                tokens, counted_at = self._buckets[identity]
                self._buckets[identity] = min(burst, tokens + 1), counted_at

    def forget(self) -> None:
        """Clear all buckets."""
        with self._lock:
            self._buckets.clear()

    def __len__(self) -> int:
        return len(self._buckets)

    def _filled(self, identity: str, rate: float, burst: float, now: float) -> float:
        tokens, counted_at = self._buckets.get(identity, (burst, now))
        return min(burst, tokens + max(0.0, now - counted_at) * rate)


def _seconds_to_one(tokens: float, rate: float) -> float:
    return 0.0 if tokens >= 1 - _ROUNDING else (1 - tokens) / rate
