"""Pauses of subscriptions whose receivers report that they are gone, in a thread of their own.

A pause waits for concurrent fires of its group and for the answers of other workers, up to some seconds. Outcomes are
recorded meanwhile.
"""

from __future__ import annotations

import logging
import threading
from typing import Final

from timers.control.gone_receivers import GoneReceivers, pause_gone_receivers
from timers.database import connection
from timers.worker.loop import Loop, is_database_fault

UNTIL_WOKEN: Final = 3600.0

logger = logging.getLogger(__name__)


class ReceiverPauses:
    """Accepts gone receivers from any thread; its own thread pauses their subscriptions."""

    def __init__(self) -> None:
        self._gone: GoneReceivers = {}
        self._lock = threading.Lock()
        self.loop = Loop("receiver-pauses", self.step)

    @property
    def pending(self) -> int:
        """Number of subscriptions that are not paused yet."""
        return len(self._gone)

    def put(self, gone: GoneReceivers) -> None:
        """Pause these subscriptions."""
        if gone:
            with self._lock:
                self._gone |= gone
            self.loop.wake()

    def step(self) -> float:
        """Pause all subscriptions that have come. Return the seconds to the next pass.

        After a database error they are kept for the next one. An idle worker keeps no session for them.
        """
        for receiver, reason in list(self._gone.items()):
            try:
                pause_gone_receivers({receiver: reason})
            except Exception as error:
                if is_database_fault(error):
                    raise
                logger.exception("subscription %s/%s, whose receiver is gone, could not be paused", *receiver)
            with self._lock:
                del self._gone[receiver]
        if self._gone:
            return 0.0
        connection.close()
        return UNTIL_WOKEN
