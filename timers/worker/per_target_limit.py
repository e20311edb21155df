"""Lanes: a queue in which the entries of one lane can take only a limited number of places at once.

So a slow target fills its lane and not the loop: later entries for other targets overtake it.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class Lanes(Generic[Entry]):
    """Entries in order of arrival; any thread may put and take, and the caller reports begins and ends."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._next: deque[tuple[Entry, str | None]] = deque()
        self._behind: dict[str, deque[Entry]] = {}
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._next) + sum(len(entries) for entries in self._behind.values())

    @property
    def next(self) -> int:
        """Number of entries that may begin now, as far as is known; without those that wait for a full lane."""
        return len(self._next)

    def put(self, entries: Sequence[tuple[Entry, str | None]]) -> None:
        """Add entries with their lanes; None: in no lane, without a limit."""
        with self._lock:
            self._next.extend(entries)

    def begin(self) -> tuple[Entry, str | None] | None:
        """Take and return the next entry whose lane has a place; None if there is none."""
        with self._lock:
            while self._next:
                entry, lane = self._next.popleft()
                if lane is None:
                    return entry, None
                if self._running[lane] < self._cap:
                    self._running[lane] += 1
                    return entry, lane
                self._behind.setdefault(lane, deque()).append(entry)
            return None

    def end(self, lane: str | None) -> None:
        """Free the place in this lane of an entry that has ended, for the first one that waits."""
        if lane is None:
            return
        with self._lock:
            self._running[lane] -= 1
            if not self._running[lane]:
                del self._running[lane]
            behind = self._behind.get(lane)
            if behind:
                self._next.appendleft((behind.popleft(), lane))
                if not behind:
                    del self._behind[lane]

    def take(self, wanted: Callable[[Entry], bool]) -> list[Entry]:
        """Remove and return the matching entries that have not begun."""
        with self._lock:
            taken = [entry for entry, _ in self._next if wanted(entry)]
            self._next = deque(item for item in self._next if not wanted(item[0]))
            for lane, entries in list(self._behind.items()):
                taken += [entry for entry in entries if wanted(entry)]
                left = deque(entry for entry in entries if not wanted(entry))
                self._behind[lane] = left
                if not left:
                    del self._behind[lane]
            return taken
