"""The database clock, the only source of time.

`timers_now()` (created by a migration) returns `clock_timestamp()`, or the session setting `timers.virtual_now` where
it is set (tests, simulations). A process that must wait extrapolates a reading with its monotonic clock. The estimate
starts at the moment the response was *received*, so it is never ahead of the database clock and nothing starts early.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from timers.database import connection
from timers.schedules.instant import to_microseconds


def boot_time() -> float:
    """Return seconds since boot, including time in suspend: a lease also expires while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


def boot_id() -> str:
    """Return an id of this boot of this machine, unique among machines; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def now() -> datetime:
    """Return the current instant of the database clock (UTC)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT timers_now()")
        row: tuple[datetime] = cursor.fetchone()
    return row[0]


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading of the database clock, with the local times around it."""

    now: datetime
    is_virtual: bool
    """Whether a test or a simulation controls this session's clock."""
    sent: float
    """boot_time() before the statement was sent."""
    received: float
    """boot_time() after the response was received."""


def read() -> Reading:
    """Read the database clock together with local times, so that clock steps can be detected (engine/clock_step.py)."""
    sent = boot_time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT timers_now(), COALESCE(current_setting('timers.virtual_now', true), '') <> ''")
        now, is_virtual = cursor.fetchone()
    return Reading(now, is_virtual, sent, boot_time())


class DatabaseClock:
    """Estimate of the database clock between readings, never ahead of it.

    Call `set` with each reading that other statements return; `now_us` needs no query.
    """

    def __init__(self, reading: datetime) -> None:
        self.set(reading)

    def set(self, reading: datetime) -> None:
        """Set the estimate from a reading of `timers_now()` that was received just now."""
        self._offset_us = to_microseconds(reading) - time.monotonic_ns() // 1000

    def now_us(self) -> int:
        """Return the estimated current instant, in microseconds since 1970 UTC."""
        return time.monotonic_ns() // 1000 + self._offset_us

    def monotonic_at(self, instant_us: int) -> float:
        """Return the value of time.monotonic() at which the database clock shows `instant_us`."""
        return (instant_us - self._offset_us) / 1_000_000
