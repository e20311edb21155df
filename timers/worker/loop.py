"""Loop: a step in a thread of its own, again and again."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

from django.db import InterfaceError, InternalError, OperationalError, connection

from timers.worker.session import GuardedSession

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0
"""Seconds between tries of a failing step: doubling, so an absent database costs little. The longest is short, because
it adds to every outage; a jitter of half of it keeps the loops of many nodes from coming back at one instant."""


class Loop:
    """Runs a step in its own thread, again and again, until stopped.

    A step does one pass and returns how many seconds to wait before the next; wake() cuts the wait short. A failing
    step is logged and tried again after a pause, with a new database connection.
    """

    def __init__(self, name: str, step: Callable[[], float]) -> None:
        self._step = step
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._pause = 0.0
        self._session = GuardedSession()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Run the step now rather than when its wait is over."""
        self._wake.set()

    def stop(self) -> None:
        """Ask the loop to end after the present step; does not wait."""
        self._stopping.set()
        self._wake.set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end; False when it has not come within `timeout` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        """Whether stop() was called."""
        return self._stopping.is_set()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._wake.wait(self._step_or_pause())
                # Last: a wake that came before it is served by the next step.
                self._wake.clear()
        finally:
            connection.close()

    def _step_or_pause(self) -> float:
        try:
            self._session.ensure()
            delay = self._step()
        except Exception as error:
            self._pause = min(max(self._pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
            pause = self._pause * random.uniform(0.5, 1.0)
            first_line = str(error).partition("\n")[0]
            logger.warning(
                "%s failed, next try in %.1f s: %s: %s",
                self._thread.name, pause, type(error).__name__, first_line, exc_info=not is_database_fault(error),
            )  # fmt: skip
            connection.close()
            # A woken loop must not spin on a failing database.
            self._stopping.wait(pause)
            return 0
        self._pause = 0.0
        return delay


def is_database_fault(error: BaseException) -> bool:
    """Whether an error means that the database is away or refused for a while, rather than a fault of ours."""
    return isinstance(error, (OperationalError, InterfaceError, InternalError))
