"""The heartbeat: renews the lease, measures the clock, holds the crash lock; on its own thread and connection."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any, Final

from timers.clock import boot_time, read
from timers.conf import Conf
from timers.database import connection
from timers.engine import errors
from timers.engine.chores import Chores
from timers.engine.clock_step import ClockWatch
from timers.engine.death import take_crash_lock
from timers.engine.nodes import Beat, beat
from timers.engine.remember_server import remember_server
from timers.server.commit_waits import commit_waits
from timers.worker.loop import Loop, is_database_fault
from timers.worker.pulse import Watch

LEASE_MARGIN: Final = 3.0
"""Seconds before the end of its lease at which a node without heartbeats kills its workers (a quarter of a short
lease): it is silent before its work is taken over.
"""

UNMANAGED_SECONDS: Final = 5.0
"""Seconds without a round of the supervisor's main thread after which the node ends. Each beat counts at most half a
second of them: with a beat every two seconds, that is about twenty seconds.
"""
SHORTEST_PATIENCE: Final = 10.0
"""Minimum seconds after which a beat that does not return is abandoned, and another thread beats on another connection.
"""

LONGEST_PAUSE: Final = 0.3
"""Maximum seconds between attempts while heartbeats fail: running handlers are stopped before the lease ends."""

logger = logging.getLogger(__name__)


class Heartbeat:
    """Sends heartbeats for one incarnation of a node until stopped."""

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
        """Detects steps of the database clock; housekeeping passes its readings too."""
        self._locked_connection: object = None
        self._remembered_on: object = None
        self._offset = 0.0
        self._failing = False
        self._has_explained = False
        self.last_ok = boot_time() - settings.lease
        """When the lease was last renewed (boot_time). The registration does not count: its response may have taken
        longer than the lease.
        """
        self.steady_since = boot_time() - settings.lease
        """Since when every beat has succeeded; a start counts as steady, a reconnection does not."""
        self.wish = wish
        """The desired state of this node, as read by the last beat."""
        self.draining = False
        """Whether the beats report the node as draining; set by the supervisor."""
        self.declared_dead = False
        """Whether another node declared this node dead and may run its executions."""
        self.managed_at = time.monotonic()
        """When the supervisor's main thread last completed its round; set by the supervisor."""
        self._unmanaged = Watch()
        self.loop = Loop(
            "heartbeat", self.step, patience=max(settings.lease, SHORTEST_PATIENCE), longest_pause=LONGEST_PAUSE
        )

    def look_at_clock(self) -> None:
        """Take the first reading of the clock, with which the workers' first readings are compared; before any beat.

        If the database is unavailable, the first beat takes it.
        """
        try:
            reading = read()
            if not reading.is_virtual:
                self.clock_watch.stepped(reading.now, reading.sent, reading.received)
        except Exception as error:
            if not is_database_fault(error):
                raise
            logger.warning("no first reading of the database clock: %s", errors.short_title(error))
        finally:
            # The thread that calls this needs the database rarely.
            connection.close()

    def step(self) -> float:
        """Send one beat. Return the seconds to the next."""
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
        # The time before the statement was sent: the database's lease does not end earlier. A beat that was abandoned
        # may still succeed after later ones.
        self.last_ok = max(self.last_ok, began)
        self._on_renewed()
        if not renewed.is_virtual and self.clock_watch.stepped(renewed.now, sent_at, boot_time()):
            self._on_step()
        self._failing = self._has_explained = False
        if failed_before or boot_time() - began > self._settings.heartbeat_interval:
            # A beat that took this long shows a stall in which no node could beat.
            self.steady_since = boot_time()
        # The lease counts from the beginning of a beat, so the next one does too: after a slow beat the lease would
        # otherwise be almost over before it is renewed.
        return max(0.0, began + self._settings.heartbeat_interval - boot_time())

    def _explain(self) -> None:
        """Log why beats fail although the database answers.

        A lease that is not on any standby would not survive a failover. So a beat waits as every commit does, and the
        node stops its running handlers before other nodes, on the promoted standby, may take its work.
        """
        if not self._has_explained and (waits := commit_waits(limit=1)):
            self._has_explained = True
            logger.error(
                "commits wait for a synchronous standby, for %.0f s by now: no heartbeat comes through",
                waits[0].seconds,
            )

    def _end_if_unmanaged(self) -> None:
        """End the node if its supervisor hangs or has ended: others take over, and the kernel ends the workers."""
        self._unmanaged.begin(time.monotonic())
        if self._unmanaged.lasts("supervisor", self.managed_at) > UNMANAGED_SECONDS:
            logger.critical("the supervisor's main thread hangs or has ended: the node ends, others take over its work")
            logging.shutdown()
            os._exit(1)

    def stepped(self, clock: Chores, sent: float) -> bool:
        """Return whether this reading of housekeeping shows a step of the clock.

        If it does, the next heartbeat is sent at once.

        Args:
            clock: the reading.
            sent: boot_time() before the reading.
        """
        if clock.is_virtual or not self.clock_watch.stepped(clock.now, sent, boot_time()):
            return False
        self._on_step()
        self.loop.wake()
        return True

    def _on_step(self) -> None:
        # A node that judges others must first have seen, for a whole lease, which of them beat under the new clock.
        self.steady_since = boot_time()

    @property
    def lease_ends(self) -> float:
        """When the lease ends (boot_time), counted from the last successful beat."""
        return self.last_ok + self._settings.lease

    @property
    def sure_until(self) -> float:
        """Until when (boot_time) no other node can have taken over: workers may begin executions up to then.

        With the crash lock on, others may take over after two missing beats if the connection is lost.
        """
        if self._uses_crash_lock:
            return self.last_ok + 2 * self._settings.heartbeat_interval
        return self.lease_ends - self.margin

    @property
    def margin(self) -> float:
        """Seconds before the end of the lease at which a node without heartbeats stops its work."""
        return min(LEASE_MARGIN, self._settings.lease / 4)

    @property
    def lease_left(self) -> float:
        """Seconds until the lease ends."""
        return self.lease_ends - boot_time()

    @property
    def steady(self) -> bool:
        """Whether beats have succeeded for a whole lease: only then may this node judge others."""
        now = boot_time()
        beats_come = not self._failing and now - self.last_ok < 1.5 * self._settings.heartbeat_interval
        return beats_come and now - self.steady_since >= self._settings.lease
