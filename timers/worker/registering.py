"""Registering: monitors a node's first statements, which may wait for a database or standby that does not respond.

The main thread waits for them, so another thread logs why, and ends the node if it is requested to end.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from django.db import DatabaseError

from timers.database import connection
from timers.server.commit_waits import commit_waits

TELL_SECONDS: Final = 5.0
"""Seconds after which the log says that the registration waits."""
END_SECONDS: Final = 2.0
"""Seconds after a signal within which the registration may complete; nothing runs yet that would have to be stopped."""
STEP_SECONDS: Final = 0.1

logger = logging.getLogger(__name__)


class Registering:
    """Monitors the registration while its `with` block runs."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._signalled_at: float | None = None
        self._thread = threading.Thread(target=self._watch, name="registering", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._done.set()

    def end(self) -> None:
        """Handle a signal: end the process if the registration does not complete soon. Called by signal handlers."""
        if self._signalled_at is None:
            self._signalled_at = time.monotonic()

    def _watch(self) -> None:
        began, told = time.monotonic(), False
        while not self._done.wait(STEP_SECONDS):
            now = time.monotonic()
            if self._signalled_at is not None and now - self._signalled_at > END_SECONDS:
                logger.warning("the node ends before its registration has come through")
                logging.shutdown()
                os._exit(1)
            if not told and now - began > TELL_SECONDS:
                told = True
                logger.warning("the node waits for its registration%s", _reason())


def _reason() -> str:
    with suppress(DatabaseError):
        try:
            waits = commit_waits(limit=1)
        finally:
            connection.close()
        if waits:
            return f": commits wait for a synchronous standby, for {waits[0].seconds:.0f} s by now"
        return ": no attempt has succeeded yet"
    return ": the database does not answer"
