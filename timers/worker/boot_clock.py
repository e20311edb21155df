"""The clock on which leases are measured inside a node."""

from __future__ import annotations

import sys
import time


def boot_time() -> float:
    """Seconds that also pass while the machine sleeps: a lease runs out during suspend too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()
