"""The supervisor: the node itself. It runs no user code, so no handler can stop its heartbeat."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import FrameType
from typing import Any, Final

from timers import conf, handlers
from timers.clock import boot_time
from timers.database import connection
from timers.engine import nodes
from timers.engine.leadership import settle
from timers.models import Node
from timers.version import VERSION
from timers.worker.child import Child
from timers.worker.descendants import Descendants
from timers.worker.heartbeat import Heartbeat
from timers.worker.housekeeping import Housekeeping
from timers.worker.loop import is_database_fault
from timers.worker.node_report import NodeReport, Report
from timers.worker.options import NodeOptions
from timers.worker.own_threads import OwnThreads
from timers.worker.registering import Registering
from timers.worker.rollout import Rollout

TICK_SECONDS: Final = 0.1
AWAKE_SECONDS: Final = 1.0
"""A longer round means that this process did not run."""
SETTLE_SECONDS: Final = 0.02
"""Seconds after the order to start nothing more until no worker can still be starting something."""
MAX_RETIRED: Final = 8
"""Maximum number of retired workers that are not killed before the grace period ends, unless the node drains."""

logger = logging.getLogger(__name__)


class Supervisor:
    """Registers the node, keeps its workers alive and within their limits, and drains them at the end."""

    def __init__(self, options: NodeOptions) -> None:
        self._options = options
        self._settings = conf.current()
        self._children: list[Child] = []
        self._retired: list[Child] = []
        self._retired_at: dict[int, float] = {}
        """By process id: when a worker was retired (time.monotonic())."""
        self._descendants = Descendants()
        self._awake_since = self._round_at = time.monotonic()
        self._stop_requests = 0
        self._registering: Registering | None = None
        self._wish = ""
        self._has_lived = False
        self._restart_at: dict[int, float] = {}
        self._report = NodeReport()

    def run(self) -> None:
        """Work until SIGTERM or SIGINT, then drain; a second signal ends the node at once."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        self._descendants.start()
        while not self._stop_requests:
            self._live_once()
        logger.info("node %s has ended", self._options.name)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._stop_requests += 1
        if self._registering is not None:
            self._registering.end()

    def _live_once(self) -> None:
        """Run one incarnation: from registration until it is stopped, disconnected or declared dead."""
        with Registering() as self._registering:
            node = self._register()
            if node is not None:
                self._heartbeat = Heartbeat(
                    node.id, self._settings, self._make_report, self._renew_leases, node.wish, node.name,
                    node.crash_lock,
                )  # fmt: skip
                self._heartbeat.look_at_clock()
        self._registering = None
        if node is None:
            return
        self._wish = ""
        self._housekeeping = Housekeeping(
            node.id, node.name, self._settings, self._heartbeat, partition=self._options.partition
        )
        self._heartbeat.loop.start()
        self._housekeeping.start()
        rollout = Rollout(node.name, self._settings, reconciles=not self._has_lived)
        rollout.loop.start()
        self._threads = OwnThreads(self._heartbeat.loop, [*self._housekeeping.loops, rollout.loop])
        self._has_lived = True
        logger.info(
            "node %s is up: pid %d, %d workers with %d threads and %d async slots each, %d handlers",
            node.name, os.getpid(), self._options.workers, self._options.threads, self._options.concurrency,
            len(handlers.names()),
        )  # fmt: skip
        self._restart_at.clear()
        try:
            while not self._stop_requests and not self._heartbeat.declared_dead:
                self._begin_round()
                if self._heartbeat.lease_left < self._heartbeat.margin:
                    self._fall_silent()
                else:
                    self._follow_wish()
                    self._keep_children(node.id)
                time.sleep(TICK_SECONDS)
            if self._heartbeat.declared_dead:
                logger.warning("node %s was declared dead by another node: starting over", node.name)
                self._kill_all()
            else:
                self._drain(node.id, node.name)
        finally:
            self._kill_all()
            self._heartbeat.loop.stop()
            self._housekeeping.stop()
            rollout.loop.stop()
            self._heartbeat.loop.join(2.0)
            self._housekeeping.join(2.0)
            rollout.loop.join(2.0)

    def _register(self) -> Any:
        registration = nodes.Registration(
            name=self._options.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            partition=self._options.partition,
            roles=self._options.roles,
            allow_execution=self._options.allow_execution,
            workers=self._options.workers,
            threads=self._options.all_threads,
            async_slots=self._options.all_async_slots,
            heartbeat_interval=self._settings.heartbeat_interval,
            lease=self._settings.lease,
            version=VERSION,
            handlers=handlers.names(),
            crash_lock=self._settings.crash_lock,
            look_ahead=self._settings.look_ahead,
            listens=self._settings.notify,
            settings=conf.shared_settings(self._settings),
            wish=self._wish,
            mode=self._options.mode,
        )
        while not self._stop_requests:
            try:
                return nodes.register(registration)
            except Exception as error:
                if not is_database_fault(error) and not isinstance(error, nodes.Undecided):
                    raise
                logger.warning("cannot register, next try in 1 s: %s", str(error).partition("\n")[0])
                connection.close()
                time.sleep(1.0)
            finally:
                connection.close()
        return None

    def _make_report(self) -> Report:
        """Return the content of a heartbeat; its thread calls it."""
        return self._report.make(list(self._children), list(self._retired))

    def _renew_leases(self) -> None:
        """Tell the workers until when they may begin executions; the heartbeat's thread calls it too."""
        for child in list(self._children):
            child.started.lease_is_sure_until(self._heartbeat.sure_until)

    def _follow_wish(self) -> None:
        """Apply the node's desired state, as read by its heartbeat."""
        if self._heartbeat.wish == self._wish:
            return
        self._wish = self._heartbeat.wish
        if self._wish == Node.Wish.STOP:
            logger.info("node %s is asked to stop", self._options.name)
            self._stop_requests += 1
            return
        is_drained = self._wish == Node.Wish.DRAIN
        logger.info("node %s %s", self._options.name, "is asked to drain" if is_drained else "takes work again")
        self._heartbeat.draining = is_drained
        if is_drained:
            for child in self._children:
                child.drain()
            self._retired += self._children
            self._children.clear()
        self._heartbeat.loop.wake()

    def _begin_round(self) -> None:
        """Show a sign of life, and check this process's own threads and its guardian."""
        now = time.monotonic()
        if now - self._round_at > AWAKE_SECONDS:
            # This process was frozen, and probably its workers too: their silence means nothing yet.
            self._awake_since = now
        self._round_at = self._heartbeat.managed_at = now
        if self._threads.keep(now) and self._descendants.keep_guardian():
            logger.warning("the guardian of node %s had ended and was started again", self._options.name)

    # Children

    def _keep_children(self, node_id: int) -> None:
        self._watch_retired()
        for child in list(self._children):
            if not child.alive:
                self._bury(child)
            elif child.fault or child.silence(self._awake_since) or child.overrun():
                self._retire(child)
        takes_work = self._options.allow_execution and self._wish != Node.Wish.DRAIN
        wanted = self._options.workers if takes_work else 0
        running = {child.number for child in self._children}
        for number in range(1, wanted + 1):
            if number not in running and time.monotonic() >= self._restart_at.get(number, 0.0):
                child = Child(node_id, self._options, number, self._heartbeat.clock_watch.last_reading)
                self._descendants.worker_started(child.pid)
                self._children.append(child)
        # Each round as well as with each beat: a new worker knows no lease yet.
        self._renew_leases()

    def _bury(self, child: Child) -> None:
        """Rescue the work of a worker that ended by itself or was killed from outside; another one starts at once."""
        self._children.remove(child)
        self._end_descendants(child)
        self._report.add(child)
        code = child.exit_code
        how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        if child.fault is not None:
            how = f"{child.fault.reason}; {how}"
        reason = f"its worker process ended ({how}) while it ran"
        culprit = "" if child.fault is None else child.fault.execution
        self._housekeeping.rescue_child(child.holder, child.fates(reason, culprit=culprit), how)
        # A worker that ends right after its start is restarted only every second, so that the log stays readable.
        if time.monotonic() - child.born < 1.0:
            self._restart_at[child.number] = time.monotonic() + 1.0

    def _retire(self, child: Child) -> None:
        """Retire a worker: a handler overran or blocks it, or a component ended. It starts nothing more.

        Others take its remaining work at once. Other handlers in the same process may finish within the grace period.
        Then it is killed, which is the only way to end a plain handler.
        """
        if child.fault is not None:
            reason = child.fault.reason
        elif child.overrun():
            reason = "a handler overran its limit"
        else:
            reason = child.silence(self._awake_since)
        self._children.remove(child)
        child.started.take_back()
        time.sleep(SETTLE_SECONDS)
        self._housekeeping.rescue_child(child.holder, child.fates("retired"), reason, only_unstarted=True)
        self._retired.append(child)
        self._retired_at[child.pid] = time.monotonic()

    def _watch_retired(self) -> None:
        for child in list(self._retired):
            if child.alive and not self._has_had_its_grace(child):
                continue
            ended = not child.alive
            overran, fault = frozenset(child.overrun()), child.fault
            silence = "" if ended or overran else child.silence(self._awake_since)
            if fault is not None and fault.execution:
                # Handlers on the same event loop reached their limits because of it.
                overran &= {fault.execution}
            child.kill()
            self._retired.remove(child)
            self._retired_at.pop(child.pid, None)
            self._end_descendants(child)
            self._report.add(child)
            if fault is not None:
                reason, how = f"its worker was stopped because {fault.reason}", f"replaced: {fault.reason}"
            elif overran:
                reason = "its worker was stopped because another handler overran its limit"
                how = "killed at a handler's limit"
            else:
                reason, how = f"its worker ended{silence and ': ' + silence}", silence or "ended"
            fates = child.fates(reason, overran, "" if fault is None else fault.execution)
            self._housekeeping.rescue_child(
                child.holder, fates, "ended" if ended else how, in_order=child.exit_code == 0
            )

    def _has_had_its_grace(self, child: Child) -> bool:
        """Return whether a handler is beyond its limit and the other handlers, if any, have had their time to finish.

        A worker that was retired because a handler blocked it, and recovers, ends by itself when all is done. If a
        component ended or hangs, the grace period begins at that moment; without any running handler there is none.
        """
        running = child.started.running()
        overran = set(child.overrun())
        is_silent = bool(child.silence(self._awake_since))
        if child.fault is not None and not child.fault.may_recover:
            grace = self._settings.overrun_grace if running else 0.0
            return time.monotonic() >= self._retired_at.get(child.pid, 0.0) + grace
        if not overran:
            return is_silent and not running
        is_crowded = len(self._retired) > MAX_RETIRED and self._wish != Node.Wish.DRAIN
        alone = len(running) == len(overran) or is_silent or is_crowded
        grace = 0.0 if alone else self._settings.overrun_grace
        return time.monotonic() >= min(cell.deadline for cell in running if cell.execution in overran) + grace

    def _end_descendants(self, child: Child) -> None:
        """Kill what the handlers of a dead worker left running, before its executions are given to others."""
        ended = self._descendants.worker_ended(child.pid)
        if ended:
            logger.warning(
                "worker %d (pid %d): %d processes that its handlers had started were killed with it",
                child.number, child.pid, ended,
            )  # fmt: skip

    def _fall_silent(self) -> None:
        """Stop all handlers because heartbeats fail, before other nodes may take their work; keep idle workers."""
        busy = [child for child in [*self._children, *self._retired] if child.started.running()]
        if busy:
            logger.error(
                "no heartbeat for %.1f s: %d workers with running handlers are stopped before the lease ends",
                boot_time() - self._heartbeat.last_ok, len(busy),
            )  # fmt: skip
        self._kill(busy)

    def _kill_all(self) -> None:
        self._kill([*self._children, *self._retired])

    def _kill(self, children: Sequence[Child]) -> None:
        for child in children:
            (self._children if child in self._children else self._retired).remove(child)
            self._retired_at.pop(child.pid, None)
            child.kill()
            self._end_descendants(child)
            self._report.add(child)
            self._housekeeping.rescue_child(child.holder, child.fates("its node was cut off or stopped"), "killed")

    # Ending

    def _drain(self, node_id: int, name: str) -> None:
        logger.info(
            "node %s drains: nothing more is claimed, running handlers have %g s", name, self._options.drain_timeout
        )
        self._heartbeat.draining = True
        self._in_database(lambda: nodes.set_draining(node_id))
        self._in_database(self._hand_over_lead)
        for child in self._children:
            child.drain()
        signals = self._stop_requests
        deadline = time.monotonic() + self._options.drain_timeout
        while self._children or self._retired:
            self._begin_round()
            self._watch_retired()
            for child in list(self._children):
                if not child.alive:
                    self._children.remove(child)
                    self._end_descendants(child)
                    self._report.add(child)
                    self._housekeeping.rescue_child(
                        child.holder, child.fates("its node stopped"), "drained", in_order=child.exit_code == 0
                    )
                elif child.fault or child.overrun():
                    self._retire(child)
            if (
                time.monotonic() >= deadline
                or self._stop_requests > signals
                or self._heartbeat.lease_left < self._heartbeat.margin
            ):
                logger.warning("node %s: %d workers did not end in time and are killed", name, len(self._children))
                self._kill_all()
            time.sleep(0.02)
        settled = time.monotonic() + 5.0
        while self._housekeeping.pending and time.monotonic() < settled:
            time.sleep(0.02)
        self._heartbeat.loop.stop()
        self._heartbeat.loop.join(2.0)
        self._in_database(lambda: nodes.set_stopped(node_id, name))
        self._in_database(self._hand_over_lead)

    def _hand_over_lead(self) -> None:
        """Let another node lead the partition at once, if this one did and its mode requires it."""
        settle(self._options.partition)

    def _in_database(self, write: Callable[[], None]) -> None:
        try:
            write()
        except Exception as error:
            if not is_database_fault(error):
                raise
            logger.warning("database unavailable, write skipped: %s", str(error).partition("\n")[0])
        finally:
            connection.close()


def named(options: NodeOptions) -> NodeOptions:
    """Return the options with a name: if none was given, the host's (with a number if that is taken)."""
    try:
        host = socket.gethostname()
        return options if options.name else replace(options, name=nodes.free_name(host, host))
    finally:
        connection.close()
