"""The heartbeat: renews the lease, measures the clock, holds the crash lock; on a thread and connection of its own."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any, Final

from django.db import connection

from timers.conf import Conf
from timers.lifecycle.death import take_crash_lock
from timers.lifecycle.nodes import Beat, beat
from timers.worker.boot_clock import boot_time
from timers.worker.loop import Loop
from timers.worker.pulse import Watch

LEASE_MARGIN: Final = 3.0
"""A node that cannot beat kills its workers so long before its lease ends (a quarter of a short one): it is silent
before its work is taken."""

UNMANAGED_SECONDS: Final = 5.0
"""Looks of half a second at most are counted, one for each beat: with a beat every two seconds, some twenty seconds."""
SHORTEST_PATIENCE: Final = 10.0
"""Seconds after which a beat that does not return is given up and another thread beats, with another connection."""

logger = logging.getLogger(__name__)


class Heartbeat:
    """Beats for one incarnation of a node until stopped."""

    def __init__(
        self,
        node_id: int,
        settings: Conf,
        report: Callable[[], tuple[int, int, int, dict[str, Any]]],
        on_renewed: Callable[[], None],
        wish: str = "",
    ) -> None:
        self._node_id = node_id
        self._settings = settings
        self._report = report
        self._on_renewed = on_renewed
        self._locked_connection: object = None
        self._offset = 0.0
        self._failing = False
        self.last_ok = boot_time()
        """When the lease was last renewed (boot_time)."""
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
        self.loop = Loop("heartbeat", self.step, patience=max(settings.lease, SHORTEST_PATIENCE))

    def step(self) -> float:
        """One beat; returns seconds to the next."""
        self._end_if_unmanaged()
        began = boot_time()
        self._failing, failed_before = True, self._failing
        unlocked = self._settings.crash_lock and self._locked_connection is not connection.connection
        if unlocked and take_crash_lock(self._node_id):
            self._locked_connection = connection.connection
        busy_threads, busy_async, rss, counters = self._report()
        sent = time.time()
        report = Beat(self._offset, busy_threads, busy_async, rss, counters, self.draining)
        renewed = beat(self._node_id, self._settings.lease, report)
        if renewed is None:
            self.declared_dead = True
            return self._settings.heartbeat_interval
        self._offset = (sent + time.time()) / 2 - renewed.now.timestamp()
        self.wish = renewed.wish
        # From before the statement was sent: the database's lease surely ends no earlier.
        self.last_ok = began
        self._on_renewed()
        self._failing = False
        if failed_before or boot_time() - began > self._settings.heartbeat_interval:
            # A beat that took so long tells of a stall in which nobody could beat.
            self.steady_since = boot_time()
        return self._settings.heartbeat_interval

    def _end_if_unmanaged(self) -> None:
        """End the node when nobody manages its workers any more: others take over, and the kernel ends the workers."""
        self._unmanaged.begin(time.monotonic())
        if self._unmanaged.lasts("supervisor", self.managed_at) > UNMANAGED_SECONDS:
            logger.critical("the supervisor's main thread hangs or has ended: the node ends, others take over its work")
            logging.shutdown()
            os._exit(1)

    @property
    def lease_ends(self) -> float:
        """When the lease ends (boot_time), counted from the last beat that came through."""
        return self.last_ok + self._settings.lease

    @property
    def sure_until(self) -> float:
        """Until when (boot_time) nobody else can have taken over: workers may begin something up to then.

        With the crash lock on, others may take over after two missing beats, should the connection be lost.
        """
        if self._settings.crash_lock:
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
