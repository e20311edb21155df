"""Loop: a step that runs repeatedly in its own thread."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from django.db import InterfaceError, InternalError, OperationalError

from timers.database import connection
from timers.engine import errors
from timers.worker.pulse import DATABASE_STEP_SECONDS, WatchedThread
from timers.worker.session import GuardedSession

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0
"""Maximum seconds between attempts of a failing step. The pause doubles, so an unavailable database costs little. The
maximum is short, because it adds to every outage; a jitter of half of it prevents the loops of many nodes from retrying
at the same instant.
"""
REPEAT_SECONDS = 10.0
"""Seconds between log lines for an error that a step raises repeatedly."""


class Loop:
    """Runs a step repeatedly in its own thread until stopped.

    A step makes one pass and returns the seconds to wait before the next; wake() shortens the wait. A failing step is
    logged and retried after a pause, with a new database connection.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], float],
        *,
        patience: float = DATABASE_STEP_SECONDS,
        longest_pause: float = LONGEST_PAUSE,
    ) -> None:
        """Create the loop; nothing runs before start().

        Args:
            name: name of the thread.
            step: makes one pass and returns the seconds to the next.
            patience: seconds after which a pass that does not return counts as hanging.
            longest_pause: maximum seconds between attempts of a failing step.
        """
        self._name = name
        self._step = step
        self._patience = patience
        self._longest_pause = longest_pause
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._pause = 0.0
        self._logged = ("", 0.0)
        """The last error that was logged, and when (time.monotonic())."""
        self._session = GuardedSession()
        self.thread = self._new_thread()

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    def restart(self) -> None:
        """Continue in a new thread with its own connection; a hanging thread ends when its step does."""
        self.thread.expect_end()
        self._session = GuardedSession()
        self.thread = self._new_thread()
        self.thread.start()

    def wake(self) -> None:
        """Run the step now, without waiting any longer."""
        self._wake.set()

    def stop(self) -> None:
        """Request the loop to stop after the present step, without waiting."""
        self.thread.expect_end()
        self._stopping.set()
        self._wake.set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end. Return False if it has not come within `timeout` seconds."""
        return self.thread.join(timeout)

    @property
    def stopping(self) -> bool:
        """Whether stop() was called."""
        return self._stopping.is_set()

    def _new_thread(self) -> WatchedThread:
        thread = WatchedThread(self._name, lambda: self._run(thread), patience=self._patience)
        return thread

    def _run(self, thread: WatchedThread) -> None:
        try:
            while not self._stopping.is_set() and thread is self.thread:
                self._wake.wait(self._step_or_pause(thread))
                # Last: the next step serves a wake that came before.
                self._wake.clear()
        finally:
            connection.close()

    def _step_or_pause(self, thread: WatchedThread) -> float:
        thread.busy()
        try:
            self._session.ensure()
            delay = self._step()
        except Exception as error:  # noqa: BLE001 - the loop continues after any error
            self._pause = min(max(self._pause * 2, FIRST_PAUSE), self._longest_pause)
            pause = self._pause * random.uniform(0.5, 1.0)
            self._log(thread.name, error, pause)
            connection.close()
            thread.idle()
            # A woken loop must not spin on a failing database.
            self._stopping.wait(pause)
            return 0
        thread.idle()
        self._pause, self._logged = 0.0, ("", 0.0)
        return delay

    def _log(self, name: str, error: Exception, pause: float) -> None:
        title, now = errors.short_title(error), time.monotonic()
        before, logged_at = self._logged
        if title == before and now - logged_at < REPEAT_SECONDS:
            return
        self._logged = title, now
        logger.warning(
            "%s failed, next attempt in %.1f s: %s", name, pause, title, exc_info=not is_database_fault(error)
        )


def is_database_fault(error: BaseException) -> bool:
    """Return whether an error means that the database is temporarily unavailable, not a fault of this program."""
    return isinstance(error, (OperationalError, InterfaceError, InternalError))
