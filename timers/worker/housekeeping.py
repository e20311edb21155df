"""Housekeeping of a node: rescues and deletion of old history. Leaderless: every node tries, one succeeds."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from timers import clock
from timers.clock import boot_time
from timers.conf import Conf
from timers.control.cluster_pause import call_back_paused
from timers.database import connection
from timers.engine.chores import Chores, find_chores
from timers.engine.death import Sightings, dead_with_claims, declare_dead, watch_others
from timers.engine.events import record
from timers.engine.execution import Holder
from timers.engine.hand_over import hand_over_left_behind
from timers.engine.leadership import settle
from timers.engine.operations import carry_out
from timers.engine.orders.holds import unblock_all
from timers.engine.orders.releasing import pass_deadlines, release_orders
from timers.engine.partitions import create_ahead
from timers.engine.pauses import resume_elapsed
from timers.engine.prune import Pruned, prune
from timers.engine.rescue import Fate, Rescued, rescue_expired, rescue_node, rescue_worker
from timers.engine.reshard import look_for_left_behind, move_batch
from timers.engine.suspects import note_suspects
from timers.engine.unclaimed import UnclaimedTimers
from timers.schedules.instant import to_microseconds
from timers.worker.heartbeat import Heartbeat
from timers.worker.loop import Loop

PRUNE_SECONDS: Final = 600.0
SHORTEST_WAIT: Final = 0.1
HELD_SECONDS: Final = 0.5
"""Seconds between polls while a step of the database clock stops rescues."""
NO_PRUNE_AFTER_STEP: Final = timedelta(days=1)
LEFTOVER_SECONDS: Final = 10.0
UNTIL_WOKEN: Final = 3600.0

logger = logging.getLogger(__name__)


class Housekeeping:
    """A thread of the supervisor: the database work for dead workers, dead nodes and old rows.

    Bulk operations, and skips in groups from which consumers pull, have their own threads: a rescue must not wait for
    them.
    """

    def __init__(
        self, node_id: int, node: str, settings: Conf, heartbeat: Heartbeat, *, partition: str = "default"
    ) -> None:
        self._node_id = node_id
        self._node = node
        self._settings = settings
        self._heartbeat = heartbeat
        self._partition = partition
        self._tasks: deque[Callable[[], None]] = deque()
        self._sightings = Sightings(boot_time)
        self._prune_at = 0.0
        self._leftovers_at = 0.0
        self.loop = Loop("housekeeping", self.step)
        self.operations = Loop("operations", self.carry_out)
        self._unclaimed_timers = UnclaimedTimers()
        self._no_unclaimed = True
        self._is_held = False
        self._asked_for: set[int] = set()
        self.unclaimed = Loop("unclaimed", self.skip_unclaimed)

    @property
    def loops(self) -> list[Loop]:
        """Its threads, to be monitored."""
        return [self.loop, self.operations, self.unclaimed]

    def start(self) -> None:
        """Start the threads."""
        self.loop.start()
        self.operations.start()
        self.unclaimed.start()

    def stop(self) -> None:
        """Request the threads to stop after their present step, without waiting."""
        self.loop.stop()
        self.operations.stop()
        self.unclaimed.stop()

    def join(self, timeout: float) -> None:
        """Wait for their end, at most `timeout` seconds for each."""
        self.loop.join(timeout)
        self.operations.join(timeout)
        self.unclaimed.join(timeout)

    def rescue_child(
        self,
        holder: Holder,
        fates: Mapping[str, Fate],
        reason: str,
        *,
        only_unstarted: bool = False,
        in_order: bool = False,
    ) -> None:
        """Rescue the executions of a worker of this node; repeated until the database accepts it.

        Args:
            holder: the worker.
            fates: the fates of its executions that had begun, by id.
            reason: why it ended.
            only_unstarted: whether only executions that had not begun are rescued.
            in_order: whether the worker ended as requested; nothing is logged if it left nothing behind.
        """

        def task() -> None:
            now = clock.now()
            rescued = rescue_worker(holder, fates, to_microseconds(now), only_unstarted=only_unstarted)
            kind = "worker retired" if only_unstarted else "worker ended"
            detail = f"worker {holder.worker} (pid {holder.worker_pid}): {reason}; {_in_words(rescued)}"
            if rescued.total or not in_order:
                record(kind, self._node, detail, now)
                logger.warning("%s", detail)

        self._tasks.append(task)
        self.loop.wake()

    @property
    def pending(self) -> int:
        """Number of rescues that are not done yet."""
        return len(self._tasks)

    def step(self) -> float:
        """Make one pass. Return the seconds to the next."""
        while self._tasks:
            self._tasks[0]()
            self._tasks.popleft()
        sent = boot_time()
        chores = find_chores(self._partition)
        is_held = self._heartbeat.stepped(chores, sent) or chores.is_held
        watched = watch_others(self._node_id, self._settings.lease, self._sightings)
        self._is_held = is_held
        if is_held:
            return HELD_SECONDS
        suspicion = None
        if self._heartbeat.steady:
            suspicion = note_suspects(watched.heard, self._settings, self._node_id)
            for dead in watched.dead:
                reason = f"no heartbeat since {dead.heartbeat_at:%H:%M:%S.%f} UTC"
                if declare_dead(dead, reason):
                    logger.warning("node %s (pid %d on %s) is dead: %s", dead.name, dead.pid, dead.host, reason)
                    settle(dead.partition)
                    self._rescue_node(dead.id, dead.name)
        if chores.needs_leader:
            settle(self._partition)
        now = time.monotonic()
        if now >= self._leftovers_at:
            self._leftovers_at = now + LEFTOVER_SECONDS
            for dead in dead_with_claims():
                self._rescue_node(dead.id, dead.name)
            hand_over_left_behind()
            look_for_left_behind()
        if now >= self._prune_at:
            self._prune_at = now + PRUNE_SECONDS
            pruned = self._create_ahead(chores.now) if _stepped_lately(chores) else prune(self._settings)
            if pruned is not None and (pruned.dropped or pruned.rows):
                logger.info("pruned history: partitions %s, %d rows", ", ".join(pruned.dropped) or "none", pruned.rows)
        if not self._asked_for.issuperset(chores.paused_claims):
            # Only once for each claim: executions that have begun continue.
            call_back_paused(chores.paused_claims)
        self._asked_for = set(chores.paused_claims)
        if chores.has_operations:
            self.operations.wake()
        if chores.has_unclaimed and self._no_unclaimed:
            self.unclaimed.wake()
        lease_ends, pause_ends = chores.seconds_to_consumer_lease, chores.seconds_to_resume
        if lease_ends is not None and lease_ends <= 0:
            lease_ends = self._rescue_from_consumers(chores.now)
        if pause_ends is not None and pause_ends <= 0:
            pause_ends = resume_elapsed(chores.now)
        waits = [watched.seconds_to_next_verdict, suspicion, pause_ends, lease_ends, self._settings.heartbeat_interval]
        return max(min(wait for wait in waits if wait is not None), SHORTEST_WAIT)

    def carry_out(self) -> float:
        """Process one chunk each of a bulk operation, of timers that change their shards, and of released orders.

        Return the seconds to the next pass. Without any work, no session is kept open.
        """
        seconds = carry_out()
        if (moved := move_batch()) is not None:
            if moved.is_last:
                logger.info("timers moved to the new shards of their group")
            return 0.0
        if release_orders() or pass_deadlines():
            return 0.0
        unblock_all()
        if seconds is None:
            connection.close()
            return UNTIL_WOKEN
        return seconds

    def _create_ahead(self, now: datetime) -> Pruned:
        return Pruned(tuple(create_ahead(now.date(), self._settings.partitions_ahead)))

    def skip_unclaimed(self) -> float:
        """Make one pass over due timers from which consumers pull. Return the seconds to the next.

        Without such timers the session is closed.
        """
        if self._is_held:
            # By a clock that has stepped, messages that are not late would be skipped.
            return HELD_SECONDS
        seconds = self._unclaimed_timers.step()
        self._no_unclaimed = seconds is None
        if seconds is None:
            connection.close()
            return UNTIL_WOKEN
        return seconds

    def _rescue_from_consumers(self, now: datetime) -> float | None:
        """Show executions again whose consumer lease expired. Return the seconds until the next lease ends, if any."""
        rescued, seconds = rescue_expired(to_microseconds(now))
        if rescued.total:
            record("leases ended", self._node, f"of consumers: {_in_words(rescued)}", now)
        return seconds

    def _rescue_node(self, node_id: int, name: str) -> None:
        now = clock.now()
        rescued = rescue_node(node_id, to_microseconds(now), f"node {name} died")
        if rescued.total:
            record("executions rescued", name, f"{_in_words(rescued)} by {self._node}", clock.now())
            logger.warning("rescued from node %s: %s", name, _in_words(rescued))


def _stepped_lately(read: Chores) -> bool:
    """Return whether the clock stepped within a day: rows that look old may not be, and are not deleted yet."""
    return read.stepped_at is not None and abs(read.now - read.stepped_at) < NO_PRUNE_AFTER_STEP


def _in_words(rescued: Rescued) -> str:
    if not rescued.total:
        return "it held nothing"
    return (
        f"{rescued.given_back} executions given back unstarted, {rescued.ready} to be tried again, "
        f"{rescued.failed} failed" + (f", {rescued.cancelled} cancelled" if rescued.cancelled else "")
    )
