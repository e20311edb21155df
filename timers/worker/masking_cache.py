"""Cache of maskings: creating one takes milliseconds for each 1,000 characters, on the event loop."""

from __future__ import annotations

import threading
from typing import Final

from timers.worker.masking import Masking

MOST_CHARACTERS: Final = 64 * 1024
"""Maximum characters of the secrets of all cached maskings: one takes up to 2 kB of memory for each character."""
MOST_MASKINGS: Final = 1024


class MaskingCache:
    """The most recently used maskings, up to a total number of characters of secrets; the last one is always kept.

    Safe for use by several threads; two that miss the same masking concurrently both create it.
    """

    def __init__(self, most_characters: int = MOST_CHARACTERS, most_maskings: int = MOST_MASKINGS) -> None:
        self._most_characters, self._most_maskings = most_characters, most_maskings
        self._kept: dict[frozenset[str], Masking] = {}
        """The maskings by their secrets, in the order of their last use."""
        self._characters = 0
        self._lock = threading.Lock()

    def masking(self, secrets: frozenset[str]) -> Masking:
        """Return the masking of these secrets."""
        with self._lock:
            found = self._kept.pop(secrets, None)
            if found is not None:
                self._kept[secrets] = found
                return found
        made = Masking(secrets)
        with self._lock:
            if secrets not in self._kept:
                self._kept[secrets] = made
                self._characters += _length(secrets)
            self._drop_oldest()
        return made

    def _drop_oldest(self) -> None:
        while len(self._kept) > 1 and (
            self._characters > self._most_characters or len(self._kept) > self._most_maskings
        ):
            oldest = next(iter(self._kept))
            del self._kept[oldest]
            self._characters -= _length(oldest)


def _length(secrets: frozenset[str]) -> int:
    return sum(map(len, secrets))


masking: Final = MaskingCache().masking
