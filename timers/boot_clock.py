"""The clock on which a process measures spans of time: leases, and whether the database clock has stepped."""

from __future__ import annotations

import sys
import time


def boot_time() -> float:
    """Seconds that also pass while the machine sleeps: a lease runs out during suspend too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()
