"""The one clock: the database's.

`timers_now()` (created by a migration) is the only source of time: `clock_timestamp()`, or the session setting
`timers.virtual_now` where that is set (tests, simulations). A process that must wait turns a reading into a running
estimate with its monotonic clock; the estimate starts at the moment the answer was *received*, so it is never ahead of
the database and nothing starts early.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db import connection

from timers.schedules.instant import to_microseconds


def boot_time() -> float:
    """Seconds that also pass while the machine sleeps: a lease runs out during suspend too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


def boot_id() -> str:
    """Return the id of this boot of this machine, unique among machines; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def now() -> datetime:
    """The present instant by the database clock (UTC)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT timers_now()")
        row: tuple[datetime] = cursor.fetchone()
    return row[0]


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading of the database clock, and when this machine took it."""

    now: datetime
    is_virtual: bool
    """Whether a test or a simulation moves this session's clock."""
    sent: float
    """boot_time() before the statement was sent."""
    received: float
    """boot_time() after its answer came."""


def read() -> Reading:
    """Read the database clock in a way that shows its steps (see engine/clock_step.py)."""
    sent = boot_time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT timers_now(), COALESCE(current_setting('timers.virtual_now', true), '') <> ''")
        now, is_virtual = cursor.fetchone()
    return Reading(now, is_virtual, sent, boot_time())


class DatabaseClock:
    """A running estimate of the database clock, never ahead of it.

    `set` is called with every reading that comes along with other work; `now_us` costs no query.
    """

    def __init__(self, reading: datetime) -> None:
        self.set(reading)

    def set(self, reading: datetime) -> None:
        """Take over a reading of `timers_now()` that was received just now."""
        self._offset_us = to_microseconds(reading) - time.monotonic_ns() // 1000

    def now_us(self) -> int:
        """The estimate of the present instant, in microseconds since 1970 UTC."""
        return time.monotonic_ns() // 1000 + self._offset_us

    def monotonic_at(self, instant_us: int) -> float:
        """The value that time.monotonic() will have when the database clock shows `instant_us`."""
        return (instant_us - self._offset_us) / 1_000_000
