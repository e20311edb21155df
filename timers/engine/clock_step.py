"""Steps of the database clock: who notices one writes it down, and claims and rescue are held everywhere for a while.

The database clock decides when timers are due and when leases end. When it jumps, leases that end by it say nothing of
whether their holders live, and timers look due that are not. So after a step:

- leases are moved along with the clock: the node's, which the next heartbeats write again, and the consumers';
- nobody claims or rescues until all live nodes have sent a heartbeat under the new clock, for one lease at most;
- after a step forward nobody claims for TIMERS_CLOCK_STEP_HOLD either, so that a clock that was set wrong can be set
  right before timers fire early. A step forward that only takes back an earlier step is trusted at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from timers.conf import Conf
from timers.engine.events import record
from timers.engine.step_detector import STEP, ClockReading, StepDetector
from timers.models import ClockStep

logger = logging.getLogger(__name__)

SLACK: Final = 1.0
"""Seconds that readings of different processes may lie apart."""

IS_VIRTUAL: Final = "COALESCE(current_setting('timers.virtual_now', true), '') <> ''"
"""SQL: whether this session's clock is moved by a test or a simulation, whose jumps are no steps."""


def is_held(now: str) -> str:
    """Return SQL that says whether a step of the clock holds claims and rescue at the instant `now` (SQL).

    They are held until all live nodes have sent a heartbeat under the new clock, a second ahead of `now` at most, and
    while a step forward is distrusted. A step that was noticed later than now belongs to a clock that has been set back
    since, and holds nothing.
    """
    return f"timers_is_held({now})"


@dataclass(frozen=True, slots=True)
class Noticed:
    """A step that was measured, and where the clock stood then."""

    seconds: float
    """Forward, or below 0 for backward."""
    at: datetime
    """The database clock after the step."""
    elapsed: float
    """Seconds since the last reading before the step: it happened within them."""
    by: str
    """The node or process that noticed."""


class ClockWatch:
    """Compares the readings that one process takes of the database clock; used by several threads."""

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
        """Take a reading and return whether the clock has stepped since the one before; a step is written down.

        Args:
            reading: timers_now(), outside of virtual time.
            sent, received: boot_time() before the statement was sent and after its answer came.
        """
        with self._lock:
            seconds = self._detector.step(reading, sent, received)
            if not seconds:
                return False
            # Not accepted before it is written down: after a database fault the next reading finds it again.
            write_step(Noticed(seconds, reading, self._detector.elapsed(received), self._by), self._settings)
            self._detector.accept(reading, sent, received)
            return True


def write_step(noticed: Noticed, settings: Conf) -> bool:
    """Write the step down, move the leases along, and record an event; False when another process has done so."""
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
    """Insert the first step; False when another process did so at the same moment, for whose commit this waits."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO timers_clock_step (id, {', '.join(values)}) VALUES (1, {', '.join(['%s'] * len(values))})"
            " ON CONFLICT DO NOTHING",
            list(values.values()),
        )
        return bool(cursor.rowcount)


def _is_the_same(before: ClockStep, noticed: Noticed) -> bool:
    """Whether another process has written this step down, at a time at which it can have happened for this one."""
    age = (noticed.at - before.at).total_seconds()
    return -SLACK <= age <= noticed.elapsed + SLACK and abs(before.seconds - noticed.seconds) < STEP


def _carried(before: ClockStep | None, noticed: Noticed) -> float:
    """Seconds by which the clock was ahead already of the instants that it may be trusted for.

    A clock that was set back showed later instants before: going there again makes nothing early. One that was set
    forward is trusted once the hold is over.
    """
    if before is None:
        return 0.0
    is_trusted = before.distrusted_until + timedelta(seconds=noticed.seconds) <= noticed.at
    return before.ahead if before.ahead < 0 or not is_trusted else 0.0


def _move_leases(noticed: Noticed) -> None:
    """Move leases that were given under the old clock: consumers', as nobody renews them, and the nodes'."""
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
