"""The listener: LISTEN wakes the claimer early, and delivers requests for claimed executions. A hint only."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

import psycopg

from timers.database import connection
from timers.engine import errors
from timers.engine.recall import RECALL_CHANNEL
from timers.engine.wakeup import REVOKE_CHANNEL, WAKE_CHANNEL
from timers.server.prepare import is_pooled
from timers.worker.loop import FIRST_PAUSE, LONGEST_PAUSE
from timers.worker.pulse import DATABASE_STEP_SECONDS, WatchedThread

logger = logging.getLogger(__name__)

GATHER_SECONDS: Final = 0.005
"""Seconds during which notifications are collected and handled together."""
CHECK_SECONDS: Final = 1.0


class Listener:
    """A connection of its own, used only for LISTEN."""

    def __init__(
        self,
        wake: Callable[[], None],
        revoke: Callable[[set[str]], None],
        recall: Callable[[], None] = lambda: None,
        *,
        address: str = "",
        on_unavailable: Callable[[], None] = lambda: None,
    ) -> None:
        """Create the listener; nothing is started yet.

        Args:
            wake: called when there may be due work.
            revoke: called with the ids of executions that must end.
            recall: called when there may be recalls for this worker.
            address: the name under which recalls are announced to this worker.
            on_unavailable: called when no notification can arrive, because the connection goes through a pooler.
        """
        self._wake = wake
        self._revoke = revoke
        self._recall = recall
        self._address = address
        self._on_unavailable = on_unavailable
        self._stopping = threading.Event()
        self.thread = WatchedThread("listener", self._run, patience=DATABASE_STEP_SECONDS)

    def start(self) -> None:
        """Start to listen."""
        self.thread.start()

    def stop(self) -> None:
        """Request the thread to stop."""
        self.thread.expect_end()
        self._stopping.set()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            self.thread.busy()
            try:
                self._listen()
                pause = FIRST_PAUSE
            except Exception as error:  # noqa: BLE001 - polling continues without notifications; listen again when it works
                self.thread.idle()
                logger.info("listener: %s; listening again in %.1f s", errors.short_title(error), pause)
                self._stopping.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            finally:
                connection.close()

    def _listen(self) -> None:
        if is_pooled(connection):
            logger.warning("listener stopped: a pooler in transaction mode delivers no notifications; polling instead")
            self.stop()
            self._on_unavailable()
            return
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {WAKE_CHANNEL}")
            cursor.execute(f"LISTEN {REVOKE_CHANNEL}")
            cursor.execute(f"LISTEN {RECALL_CHANNEL}")
        raw: psycopg.Connection = connection.connection
        # Find what was sent while nobody listened.
        self._wake()
        self._recall()
        while not self._stopping.is_set():
            self.thread.busy()
            revoked: set[str] = set()
            woken = False
            for notice in raw.notifies(timeout=CHECK_SECONDS, stop_after=1):
                # A caller waits for the response to a recall: it is handled before anything is collected.
                self._pass_on_recall(notice)
                woken |= notice.channel == WAKE_CHANNEL
                revoked |= _revoked(notice)
            if not woken and not revoked:
                continue
            for notice in raw.notifies(timeout=GATHER_SECONDS):
                self._pass_on_recall(notice)
                woken |= notice.channel == WAKE_CHANNEL
                revoked |= _revoked(notice)
            if woken:
                self._wake()
            if revoked:
                self._revoke(revoked)

    def _pass_on_recall(self, notice: psycopg.Notify) -> None:
        if notice.channel == RECALL_CHANNEL and notice.payload == self._address:
            self._recall()


def _revoked(notice: psycopg.Notify) -> set[str]:
    return set(notice.payload.split(",")) if notice.channel == REVOKE_CHANNEL else set()
