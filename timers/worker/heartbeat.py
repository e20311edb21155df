"""The heartbeat: renews the lease, measures the clock, holds the crash lock; on a thread and connection of its own."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any, Final

from django.db import connection

from timers.clock import boot_time, read
from timers.conf import Conf
from timers.engine.chores import Chores
from timers.engine.clock_step import ClockWatch
from timers.engine.death import take_crash_lock
from timers.engine.nodes import Beat, beat
from timers.engine.remember_server import remember_server
from timers.server.commit_waits import commit_waits
from timers.worker.loop import Loop
from timers.worker.pulse import Watch

LEASE_MARGIN: Final = 3.0
"""A node that cannot beat kills its workers so long before its lease ends (a quarter of a short one): it is silent
before its work is taken."""

UNMANAGED_SECONDS: Final = 5.0
"""Looks of half a second at most are counted, one for each beat: with a beat every two seconds, some twenty seconds."""
SHORTEST_PATIENCE: Final = 10.0
"""Seconds after which a beat that does not return is given up and another thread beats, with another connection."""

LONGEST_PAUSE: Final = 0.3
"""Seconds between attempts while no heartbeat comes through: handlers that run are stopped before the lease ends."""

logger = logging.getLogger(__name__)


class Heartbeat:
    """Beats for one incarnation of a node until stopped."""

    def __init__(
        self,
        node_id: int,
        settings: Conf,
        report: Callable[[], tuple[int, int, int, dict[str, Any], bool]],
        on_renewed: Callable[[], None],
        wish: str = "",
        node: str = "",
        crash_lock: bool | None = None,
    ) -> None:
        self._node_id = node_id
        self._settings = settings
        self._report = report
        self._on_renewed = on_renewed
        self._uses_crash_lock = settings.crash_lock if crash_lock is None else crash_lock
        self.clock_watch = ClockWatch(settings, node)
        """Notices steps of the database clock; housekeeping gives its readings, too."""
        self._locked_connection: object = None
        self._remembered_on: object = None
        self._offset = 0.0
        self._failing = False
        self._has_explained = False
        self.last_ok = boot_time() - settings.lease
        """When the lease was last renewed (boot_time). The registration does not count: its answer may have been under
        way for longer than the lease."""
        self.steady_since = boot_time() - settings.lease
        """Since when every beat has come through; a start counts as steady, a reconnection does not."""
        self.wish = wish
        """What a person asks of this node, as the last beat brought it."""
        self.draining = False
        """What the beats say of it; the supervisor's to set."""
        self.declared_dead = False
        """Another node took us for dead and may run what we held."""
        self.managed_at = time.monotonic()
        """When the supervisor's main thread last passed its round; the supervisor's to set."""
        self._unmanaged = Watch()
        self.loop = Loop(
            "heartbeat", self.step, patience=max(settings.lease, SHORTEST_PATIENCE), longest_pause=LONGEST_PAUSE
        )

    def look_at_clock(self) -> None:
        """Take the first reading of the clock, which those of the workers are compared with; before any beat."""
        reading = read()
        if not reading.is_virtual:
            self.clock_watch.stepped(reading.now, reading.sent, reading.received)

    def step(self) -> float:
        """One beat; returns seconds to the next."""
        self._end_if_unmanaged()
        began = boot_time()
        self._failing, failed_before = True, self._failing
        if failed_before:
            self._explain()
        if self._remembered_on is not connection.connection:
            remember_server()
            self._remembered_on = connection.connection
        unlocked = self._uses_crash_lock and self._locked_connection is not connection.connection
        if unlocked and take_crash_lock(self._node_id):
            self._locked_connection = connection.connection
        busy_threads, busy_async, rss, counters, ready = self._report()
        sent, sent_at = time.time(), boot_time()
        report = Beat(self._offset, busy_threads, busy_async, rss, counters, self.draining, ready)
        renewed = beat(self._node_id, self._settings.lease, report)
        if renewed is None:
            self.declared_dead = True
            return self._settings.heartbeat_interval
        self._offset = (sent + time.time()) / 2 - renewed.now.timestamp()
        self.wish = renewed.wish
        # From before the statement was sent: the database's lease surely ends no earlier.
        # A beat that was given up may still come through, after later ones.
        self.last_ok = max(self.last_ok, began)
        self._on_renewed()
        if not renewed.is_virtual and self.clock_watch.stepped(renewed.now, sent_at, boot_time()):
            self._on_step()
        self._failing = self._has_explained = False
        if failed_before or boot_time() - began > self._settings.heartbeat_interval:
            # A beat that took so long shows a stall in which nobody could beat.
            self.steady_since = boot_time()
        # The lease counts from the beginning of a beat, so the next one does, too: after a beat that took long the
        # lease would otherwise be nearly over before it is renewed.
        return max(0.0, began + self._settings.heartbeat_interval - boot_time())

    def _explain(self) -> None:
        """Log why beats fail though the database answers.

        A lease that is on no standby would not survive a failover: a beat waits as every commit does, and the node
        ends its running handlers before others, on the promoted standby, may take their work.
        """
        if not self._has_explained and (waits := commit_waits(limit=1)):
            self._has_explained = True
            logger.error(
                "commits wait for a synchronous standby, for %.0f s by now: no heartbeat comes through",
                waits[0].seconds,
            )

    def _end_if_unmanaged(self) -> None:
        """End the node when nobody manages its workers any more: others take over, and the kernel ends the workers."""
        self._unmanaged.begin(time.monotonic())
        if self._unmanaged.lasts("supervisor", self.managed_at) > UNMANAGED_SECONDS:
            logger.critical("the supervisor's main thread hangs or has ended: the node ends, others take over its work")
            logging.shutdown()
            os._exit(1)

    def stepped(self, clock: Chores, sent: float) -> bool:
        """Whether this reading of housekeeping shows a step of the clock; then the next heartbeat is sent at once.

        Args:
            sent: boot_time() before the reading.
        """
        if clock.is_virtual or not self.clock_watch.stepped(clock.now, sent, boot_time()):
            return False
        self._on_step()
        self.loop.wake()
        return True

    def _on_step(self) -> None:
        # Whoever judges must first have seen, for a whole lease, who sends heartbeats under the new clock.
        self.steady_since = boot_time()

    @property
    def lease_ends(self) -> float:
        """When the lease ends (boot_time), counted from the last beat that came through."""
        return self.last_ok + self._settings.lease

    @property
    def sure_until(self) -> float:
        """Until when (boot_time) nobody else can have taken over: workers may begin something up to then.

        With the crash lock on, others may take over after two missing beats, should the connection be lost.
        """
        if self._uses_crash_lock:
            return self.last_ok + 2 * self._settings.heartbeat_interval
        return self.lease_ends - self.margin

    @property
    def margin(self) -> float:
        """Seconds before the end of the lease at which a node that cannot beat falls silent."""
        return min(LEASE_MARGIN, self._settings.lease / 4)

    @property
    def lease_left(self) -> float:
        """Seconds until the lease ends."""
        return self.lease_ends - boot_time()

    @property
    def steady(self) -> bool:
        """Whether beats have come through for a whole lease: only then may this node judge others."""
        now = boot_time()
        beats_come = not self._failing and now - self.last_ok < 1.5 * self._settings.heartbeat_interval
        return beats_come and now - self.steady_since >= self._settings.lease
