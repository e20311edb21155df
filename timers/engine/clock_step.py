"""Steps of the database clock: a process that notices one records it, and claims and rescue are suspended for a while.

The database clock decides when timers are due and when leases expire. After a jump, an expired lease does not prove
that its holder is dead, and timers may look due that are not. So after a step:

- leases are moved by the step: the nodes' leases, which the next heartbeats write again, and the consumers';
- nobody claims or rescues until all live nodes have sent a heartbeat under the new clock, for one lease at most;
- after a step forward nobody claims for TIMERS_CLOCK_STEP_HOLD either, so that a clock that was set wrong can be
  corrected before timers fire early. A step forward that only undoes an earlier step is trusted at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from timers.conf import Conf
from timers.database import connection, transaction
from timers.engine.events import record
from timers.engine.step_detector import STEP, ClockReading, StepDetector
from timers.models import ClockStep

logger = logging.getLogger(__name__)

SLACK: Final = 1.0
"""Seconds by which readings of different processes may differ."""

IS_VIRTUAL: Final = "COALESCE(current_setting('timers.virtual_now', true), '') <> ''"
"""SQL: whether a test or a simulation controls this session's clock; its jumps are not clock steps."""


def is_held(now: str) -> str:
    """Return SQL that tests whether a clock step suspends claims and rescue at the instant `now` (SQL).

    They are suspended until all live nodes have sent a heartbeat under the new clock, at most one second ahead of
    `now`, and while a step forward is distrusted. A step recorded later than `now` belongs to a clock that has been set
    back since, and suspends nothing.
    """
    return f"timers_is_held({now})"


@dataclass(frozen=True, slots=True)
class Noticed:
    """A measured step, and the clock after it."""

    seconds: float
    """Seconds: above 0 forward, below 0 backward."""
    at: datetime
    """The database clock after the step."""
    elapsed: float
    """Seconds since the last reading before the step; the step happened within them."""
    by: str
    """The node or process that noticed it."""


class ClockWatch:
    """Compares the readings of the database clock that one process takes; thread-safe."""

    def __init__(self, settings: Conf, by: str, before: ClockReading | None = None) -> None:
        """`before`: a reading that another process of this machine took, so that the first one here is compared."""
        self._settings = settings
        self._by = by
        self._detector = StepDetector()
        self._lock = threading.Lock()
        if before is not None:
            self._detector.accept(*before)

    @property
    def last_reading(self) -> ClockReading | None:
        """The last reading that shows no step; None before the first."""
        return self._detector.accepted

    def stepped(self, reading: datetime, sent: float, received: float) -> bool:
        """Process a reading; return whether the clock has stepped since the previous one. A step is recorded.

        Args:
            reading: timers_now(), outside of virtual time.
            sent: boot_time() before the statement was sent.
            received: boot_time() after the response was received.
        """
        with self._lock:
            seconds = self._detector.step(reading, sent, received)
            if not seconds:
                return False
            # Accepted only after it is recorded: after a database error the next reading detects the step again.
            write_step(Noticed(seconds, reading, self._detector.elapsed(received), self._by), self._settings)
            self._detector.accept(reading, sent, received)
            return True


def write_step(noticed: Noticed, settings: Conf) -> bool:
    """Record the step, move the leases and write an event; return False if another process has done so."""
    with transaction.atomic():
        before = ClockStep.objects.select_for_update().filter(id=ClockStep.ONLY).first()
        if before is not None and _is_the_same(before, noticed):
            return False
        ahead = noticed.seconds + _carried(before, noticed)
        is_distrusted = ahead > STEP and noticed.seconds > 0
        distrusted = timedelta(seconds=settings.clock_step_hold if is_distrusted else 0)
        lease = timedelta(seconds=settings.lease)
        values = {
            "at": noticed.at,
            "seconds": noticed.seconds,
            "ahead": ahead,
            "noticed_by": noticed.by,
            "distrusted_until": noticed.at + distrusted,
            "held_until": noticed.at + max(distrusted, lease),
        }
        if before is not None:
            ClockStep.objects.filter(id=ClockStep.ONLY).update(**values)
        elif not _insert(values):
            return False
        _move_leases(noticed)
        direction = "forward" if noticed.seconds > 0 else "back"
        detail = f"the database clock stepped {direction} by {abs(noticed.seconds):.1f} s"
        record("clock step", noticed.by, f"{detail}; claims and rescue are held", noticed.at)
    logger.error("%s: claims and rescue are held until %s", detail, values["held_until"])
    return True


def _insert(values: Mapping[str, Any]) -> bool:
    """Insert the first step; return False if another process did so concurrently (this call waits for its commit)."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO timers_clock_step (id, {', '.join(values)}) VALUES (1, {', '.join(['%s'] * len(values))})"
            " ON CONFLICT DO NOTHING",
            list(values.values()),
        )
        return bool(cursor.rowcount)


def _is_the_same(before: ClockStep, noticed: Noticed) -> bool:
    """Whether another process has recorded this step, at a time that fits this measurement."""
    age = (noticed.at - before.at).total_seconds()
    return -SLACK <= age <= noticed.elapsed + SLACK and abs(before.seconds - noticed.seconds) < STEP


def _carried(before: ClockStep | None, noticed: Noticed) -> float:
    """Return the seconds by which the clock was already ahead of the instants for which it may be trusted.

    A clock that was set back showed later instants before: returning there makes nothing early. A clock that was set
    forward is trusted once the hold is over.
    """
    if before is None:
        return 0.0
    is_trusted = before.distrusted_until + timedelta(seconds=noticed.seconds) <= noticed.at
    return before.ahead if before.ahead < 0 or not is_trusted else 0.0


def _move_leases(noticed: Noticed) -> None:
    """Move leases that were given under the old clock: the consumers', which nobody renews, and the nodes'."""
    earliest = noticed.at - timedelta(seconds=min(noticed.elapsed, abs(noticed.seconds)) + SLACK)
    latest = noticed.at + timedelta(seconds=SLACK)
    moved: dict[str, Any] = {"seconds": noticed.seconds, "earliest": earliest, "latest": latest}
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE timers_claim SET expires_at = expires_at + %(seconds)s * INTERVAL '1 second'"
            " WHERE id = ANY(ARRAY(SELECT id FROM timers_claim WHERE expires_at IS NOT NULL"
            " AND NOT claimed_at BETWEEN %(earliest)s AND %(latest)s ORDER BY id FOR UPDATE))",
            moved,
        )
        cursor.execute(
            "UPDATE timers_node SET heartbeat_at = heartbeat_at + %(seconds)s * INTERVAL '1 second',"
            " lease_expires_at = lease_expires_at + %(seconds)s * INTERVAL '1 second'"
            " WHERE id = ANY(ARRAY(SELECT id FROM timers_node WHERE state IN"
            " ('starting', 'active', 'standby', 'draining')"
            " AND NOT heartbeat_at BETWEEN %(earliest)s AND %(latest)s ORDER BY id FOR UPDATE))",
            moved,
        )
