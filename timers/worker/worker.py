"""The worker: builds the parts, starts them in order, says its vitals, drains and ends."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, Final, TypeVar

from django.db import connection

from timers import clock, conf
from timers.lifecycle.execution import Execution, Holder
from timers.lifecycle.finish import Finished
from timers.lifecycle.recall import address
from timers.lifecycle.release import release
from timers.worker import run_log
from timers.worker.agenda import Agenda
from timers.worker.claimer import Claimer
from timers.worker.event_loop import EventLoop
from timers.worker.executor import Executor
from timers.worker.listener import Listener
from timers.worker.loop import is_database_fault
from timers.worker.minute_stats import MinuteStats
from timers.worker.options import WorkerSetup
from timers.worker.pace import Pace
from timers.worker.recalls import Recalls
from timers.worker.recorder import Recorder
from timers.worker.started import Started, Vitals
from timers.worker.thread_pool import ThreadPool

VITALS_SECONDS: Final = 0.2

DRAIN: Final = "drain"
"""The supervisor's one command: claim no more, give back what has not begun, end when the rest is recorded."""

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


class Worker:
    """The parts of a worker and the order in which they start and end."""

    def __init__(self, setup: WorkerSetup, memory: Any, commands: Connection) -> None:
        self._setup = setup
        self._settings = conf.current()
        self._started = Started(memory)
        self._holder = Holder(setup.node_id, setup.node, setup.number, os.getpid())
        self._clock = clock.DatabaseClock(clock.now())
        connection.close()
        self._drain = threading.Event()
        self._is_ending = False
        self._unstarted: list[Execution] = []
        pace = Pace()
        self._stats = MinuteStats(setup.node_id)
        self._recorder = Recorder(self._holder, self._clock, self._started, self._stats, self._recorded)
        options = setup.options
        self._executor = Executor(
            ThreadPool(setup.node, options.threads, self._clock, self._started, pace, self._recorder.put),
            EventLoop(setup.node, options.concurrency, self._clock, self._started, pace, self._recorder.put),
            self._clock,
            self._recorder.put,
        )
        self._agenda = Agenda(self._clock, self._executor.submit)
        self._recalls = Recalls(
            self._holder, self._clock, self._started, self._agenda, self._executor, begin=self._begin_recalled,
            report=self._recorder.put, no_longer_held=self._no_longer_held, polls=not self._settings.notify,
        )  # fmt: skip
        self._claimer = Claimer(
            self._holder, options, self._settings, self._clock, self._started, pace, self._agenda, self._recalls.revoke
        )
        self._listener = self._new_listener() if self._settings.notify else None
        self._commands = threading.Thread(target=self._obey, args=(commands,), name="commands", daemon=True)

    def _new_listener(self) -> Listener:
        me = address((self._holder.node_id, self._holder.worker_pid))
        return Listener(self._claimer.loop.wake, self._recalls.revoke, self._recalls.loop.wake, address=me)

    def run(self) -> None:
        """Work until told to drain, then end; the supervisor watches the vitals meanwhile."""

        run_log.install()
        self._commands.start()
        self._recorder.loop.start()
        self._executor.start()
        self._agenda.start()
        self._claimer.loop.start()
        self._recalls.loop.start()
        if self._listener is not None:
            self._listener.start()
        while not self._drain.wait(VITALS_SECONDS):
            self._say_vitals()
            self._executor.tick()
            self._obey_pause()
            if self._started.taken_back:
                break
        self._end()

    def _end(self) -> None:
        """Claim no more, give back what has not begun, wait for what has, record it."""
        self._claimer.loop.stop()
        self._claimer.loop.join()
        self._is_ending = True
        self._agenda.stop()
        unstarted, self._unstarted = self._unstarted + self._agenda.take() + self._executor.take(), []
        if not self._started.taken_back:
            self._give_back(unstarted)
        while self._executor.busy or self._recorder.pending or self._recalls.pending:
            self._say_vitals()
            self._executor.tick()
            time.sleep(0.02)
        if self._listener is not None:
            self._listener.stop()
        self._recalls.loop.stop()
        self._recalls.loop.join()
        if self._unstarted and not self._started.taken_back:
            self._give_back(self._unstarted)
        self._recorder.loop.stop()
        self._recorder.loop.join()
        self._in_database(self._stats.flush)
        self._recorder.failures.tell_rest()
        self._say_vitals()
        self._executor.stop()
        # Threads of user code may live on; nothing of ours waits for them.
        os._exit(0)

    def _give_back(self, executions: list[Execution]) -> None:
        deadline = time.monotonic() + self._setup.options.drain_timeout
        while executions and time.monotonic() < deadline:
            given = self._in_database(lambda: release(self._holder, executions, self._clock.now_us()))
            if given is not None:
                logger.info("gave %d executions back that had not begun", given)
                self._claimer.no_longer_held(executions)
                return
            time.sleep(0.2)

    def _obey_pause(self) -> None:
        """While the cluster is paused nothing begins: what was claimed ahead goes back, once that can be written."""
        if self._claimer.is_paused:
            self._unstarted += self._agenda.take() + self._executor.take()
        if self._unstarted:
            unstarted = self._unstarted
            given = self._in_database(lambda: release(self._holder, unstarted, self._clock.now_us()))
            if given is not None:
                logger.info("the cluster is paused: gave %d executions back that had not begun", given)
                self._unstarted = []
                self._claimer.no_longer_held(unstarted)

    def _in_database(self, write: Callable[[], Result]) -> Result | None:
        """Write from the main thread; None, with a line in the log, while the database is away."""
        try:
            return write()
        except Exception as error:
            if not is_database_fault(error):
                raise
            logger.warning("not written, the database is away: %s", str(error).partition("\n")[0])
            return None
        finally:
            # Used seldom: a connection that lies idle for days would only be found broken.
            connection.close()

    def _recorded(self, finished: Finished) -> None:
        ended = [outcome.execution for outcome, _ in finished.verdicts]
        self._claimer.no_longer_held(ended + [outcome.execution for outcome in finished.refused])
        looks = [
            outcome.execution.next_us - outcome.execution.shift_us
            for outcome, verdict in finished.verdicts
            if verdict.next != "again" and outcome.execution.next_us is not None
        ]
        if looks:
            self._claimer.look_at(looks)

    def _no_longer_held(self, executions: Sequence[Execution]) -> None:
        self._claimer.no_longer_held(executions)

    def _begin_recalled(self, executions: Sequence[Execution]) -> None:
        """The changes that recalled them were rolled back: they go on, or back when this worker begins nothing more."""
        if self._is_ending:
            self._unstarted.extend(executions)
        else:
            self._agenda.add(executions)

    def _say_vitals(self) -> None:
        running = self._started.running() if self._executor.busy else []
        counters = self._recorder.counters
        self._started.say(
            Vitals(
                pulse=time.monotonic(),
                earliest_deadline=min((cell.deadline for cell in running), default=0.0),
                busy=len(running),
                held=self._claimer.held,
                succeeded=counters.succeeded,
                retried=counters.retried,
                failed=counters.failed,
                skipped=self._claimer.skipped,
            )
        )

    def _obey(self, commands: Connection) -> None:
        try:
            while commands.recv() != DRAIN:
                pass
        except (EOFError, OSError):
            # The supervisor is gone, and with it the node's heartbeat: others will take over what we hold.
            os._exit(1)
        self._drain.set()
