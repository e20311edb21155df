"""When a claimer polls for due work again, and what part of the work it found it leaves to other workers."""

from __future__ import annotations

import heapq
import time
from collections.abc import Sequence
from typing import Final

from timers.conf import Conf
from timers.domain.look_times import seconds_to_next_look
from timers.engine.wakeup import wake_workers
from timers.worker.sharing import LATE_PAUSE_SECONDS, LATE_SECONDS, Parts

IDLE_SECONDS: Final = 0.1
"""Seconds between two polls for due work that could start in idle slots which count as taken."""
BREATH_SECONDS: Final = 0.005
"""Wakes closer together than this are served by one pass."""
ANNOUNCED_SECONDS: Final = 0.1
"""Work left to other workers is not announced if they were woken within this time."""


class NextLook:
    """The instants at which one claimer polls again. Instants are in microseconds by the database's clock."""

    def __init__(self, settings: Conf) -> None:
        self._settings = settings
        self._instants: list[int] = []
        self._left_us: int | None = None
        """When to poll for work that was left to other workers; None: none was."""
        self._left_pause = LATE_PAUSE_SECONDS
        """Seconds until the next poll for work that was left; longer if none of it can be claimed here."""
        self._noticed_at = 0.0
        self._idle_from = 0.0
        self.has_idle = False
        """Whether the last pass that checked found idle slots although all count as taken."""
        self.position = (0, 1)
        """The index of this worker among those that claim in its partition, and their number."""

    @property
    def ahead_us(self) -> int:
        """Microseconds that timers are claimed ahead of their instants."""
        return round(self._settings.look_ahead * 1_000_000)

    def notice(self) -> None:
        """Record that all workers were woken just now."""
        self._noticed_at = time.monotonic()

    def add(self, instants_us: Sequence[int], now_us: int) -> None:
        """Poll at these instants too; later ones than the look-ahead are found anyway."""
        for instant_us in instants_us:
            if instant_us <= now_us + self.ahead_us:
                heapq.heappush(self._instants, instant_us)

    def begin_idle(self) -> bool:
        """Return whether this pass checks for idle slots if there is no room; doing so in every pass costs too much."""
        now = time.monotonic()
        if now < self._idle_from:
            return False  # the result of the last check, and the next check, are unchanged
        self.has_idle, self._idle_from = False, now + IDLE_SECONDS
        return True

    def nothing_due(self) -> None:
        """Record that nothing is due, so that no poll for idle slots is needed."""
        self.has_idle = False
        self.claimed()

    def claimed(self) -> None:
        """Record that something could be claimed."""
        self._left_pause = LATE_PAUSE_SECONDS

    def leave_to_others(self, parts: Parts, now_us: int, *, in_vain: bool) -> None:
        """Ensure that the others poll for their parts in time, and poll again for what they did not take.

        `in_vain`: nothing of it could be claimed here, because only others have its handlers, or it is locked.
        """
        if in_vain:
            self._left_pause = min(self._left_pause * 2, self._settings.poll_interval)
        if self._left_us is not None and self._left_us <= now_us:
            self._left_us = None  # this was that poll
        left = [part for part in set(parts.values()) if part.due > part.taken]
        if not left:
            return
        first_us = min(part.first_us for part in left)
        look_us = max(first_us + round(LATE_SECONDS * 1_000_000), now_us + round(self._left_pause * 1_000_000))
        if in_vain or self._left_us is None or look_us < self._left_us:
            self._left_us = look_us
        soon_us = now_us + round(self._settings.poll_interval * 1_000_000)
        was_noticed = time.monotonic() - self._noticed_at < ANNOUNCED_SECONDS
        if first_us < soon_us and not was_noticed and not in_vain and any(part.others_are_free for part in left):
            self.notice()
            wake_workers()

    def seconds(self, now_us: int) -> float:
        """Return the seconds until the next poll."""
        wait = seconds_to_next_look(now_us, self._settings.poll_interval, *self.position)
        if self.has_idle:
            wait = min(wait, IDLE_SECONDS)
        if self._left_us is not None:
            wait = min(wait, (self._left_us - now_us) / 1_000_000)
            if self._left_us <= now_us:
                self._left_us, wait = None, BREATH_SECONDS
        while self._instants and self._instants[0] <= now_us:
            heapq.heappop(self._instants)
            wait = BREATH_SECONDS
        if self._instants:
            wait = min(wait, (self._instants[0] - now_us) / 1_000_000)
        return max(wait, BREATH_SECONDS)
