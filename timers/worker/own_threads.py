"""The supervisor's own threads: one that has ended or hangs is logged and replaced by a new one."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from timers.worker.loop import Loop
from timers.worker.pulse import WATCH_SECONDS, Watch

logger = logging.getLogger(__name__)


class OwnThreads:
    """Monitors heartbeat, housekeeping, operations and rollout; the supervisor's main thread calls it in each round."""

    def __init__(self, heartbeat: Loop, others: Sequence[Loop]) -> None:
        self._heartbeat = heartbeat
        self._others = others
        self._watch = Watch()
        self._told: set[str] = set()
        self._looked_at = 0.0

    def keep(self, now: float) -> bool:
        """Restart threads that have ended, and a beat that does not return. Return whether a check was due.

        Other threads that hang are only logged: a second thread of housekeeping could do the same work concurrently.

        Args:
            now: time.monotonic().
        """
        if now - self._looked_at < WATCH_SECONDS:
            return False
        self._looked_at = now
        self._watch.begin(now)
        for loop in [self._heartbeat, *self._others]:
            if (ended := self._watch.ended([loop.thread])) is not None:
                logger.critical("%s ended: %s; it is started again", ended[0].name, ended[1])
                loop.restart()
        if (hanging := self._watch.hanging([self._heartbeat.thread])) is not None:
            logger.error("%s hangs, its step has run for %.0f s; another thread goes on", hanging[0].name, hanging[1])
            self._heartbeat.restart()
        for loop in self._others:
            hanging = self._watch.hanging([loop.thread])
            if hanging is None:
                self._told.discard(loop.thread.name)
            elif loop.thread.name not in self._told:
                self._told.add(loop.thread.name)
                logger.error("%s hangs: its step has run for %.0f s", hanging[0].name, hanging[1])
        return True
