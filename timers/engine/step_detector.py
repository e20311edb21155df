"""Detect steps of the database clock, by comparing it with this machine's CLOCK_BOOTTIME between two readings.

The server takes a reading at some moment between the sending of the statement and the receipt of its response, so each
reading bounds the difference of the two clocks from both sides. Only a change of that difference that the bounds do not
explain is a step: a slow network, a stalled server or a frozen process is not.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

STEP: Final = 2.5
"""Seconds. A smaller change is drift, or a slew by NTP, and suspends nothing."""
DRIFT: Final = 0.0005
"""Seconds per second by which two working clocks may differ (500 ppm, the most that NTP corrects by frequency)."""


ClockReading = tuple[datetime, float, float]
"""A reading of the database clock, and this machine's boot_time() before and after it."""


class StepDetector:
    """Compares each reading of one database clock with the previous one."""

    def __init__(self, threshold: float = STEP) -> None:
        self._threshold = threshold
        self._bounds: tuple[float, float] | None = None
        self._received = 0.0
        self.accepted: ClockReading | None = None
        """The last accepted reading; None before the first."""

    def elapsed(self, received: float) -> float:
        """Return the seconds since the last accepted reading; 0 before the first."""
        return 0.0 if self._bounds is None else received - self._received

    def step(self, reading: datetime, sent: float, received: float) -> float:
        """Return the seconds by which the clock has stepped since the last accepted reading; 0.0 for no step.

        A reading without a step is accepted at once; after a step, call `accept` when it has been handled.

        Args:
            reading: the database clock, read between the next two.
            sent: this machine's boot_time() before the statement.
            received: this machine's boot_time() after the statement.
        """
        if self._bounds is not None:
            low, high = self._bounds
            shown = reading.timestamp()
            drift = DRIFT * self.elapsed(received)
            # The smallest step that explains both readings.
            forward = (shown - received) - high - drift
            backward = low - (shown - sent) - drift
            if forward > self._threshold:
                return forward
            if backward > self._threshold:
                return -backward
        self.accept(reading, sent, received)
        return 0.0

    def accept(self, reading: datetime, sent: float, received: float) -> None:
        """Accept this reading as the one to compare the next with.

        Args:
            reading: the database clock.
            sent: boot_time() before the statement.
            received: boot_time() after the statement.
        """
        shown = reading.timestamp()
        self._bounds = shown - received, shown - sent
        self._received = received
        self.accepted = reading, sent, received
