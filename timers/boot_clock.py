"""The clock on which a process measures spans of time: leases, and whether the database clock has stepped."""

from __future__ import annotations

import sys
import time
from pathlib import Path


def boot_time() -> float:
    """Seconds that also pass while the machine sleeps: a lease runs out during suspend too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


def boot_id() -> str:
    """Return the id of this boot of this machine, unique among machines; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
