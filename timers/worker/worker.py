"""The worker: builds its parts, starts them in order, reports its vitals, drains and ends."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, Final, TypeVar

from timers import clock, conf
from timers.actions import Action
from timers.database import connection
from timers.engine.execution import Execution, Holder
from timers.engine.finish import Finished
from timers.engine.recall import address
from timers.engine.release import Released, release
from timers.engine.wakeup import wake_workers
from timers.worker import process_state, run_log
from timers.worker.agenda import Agenda
from timers.worker.capacity import Capacity
from timers.worker.claimer import Claimer
from timers.worker.components import Components
from timers.worker.descendants import AdoptedProcesses, end_process_group
from timers.worker.event_loop import EventLoop
from timers.worker.executor import Executor
from timers.worker.idle_slots import IdleSlots
from timers.worker.in_flight import Started, Vitals
from timers.worker.listener import Listener
from timers.worker.loop import is_database_fault
from timers.worker.minute_stats import MinuteStats
from timers.worker.next_steps import NextSteps
from timers.worker.options import DRAIN, WorkerSetup
from timers.worker.pulse import WATCH_SECONDS, WatchedThread
from timers.worker.recalls import Recalls
from timers.worker.receiver_pauses import ReceiverPauses
from timers.worker.recorder import Recorder
from timers.worker.relief import Relief
from timers.worker.run_time_mean import Pace
from timers.worker.sharing import Sharing
from timers.worker.thread_pool import ThreadPool

VITALS_SECONDS: Final = 0.2
ADOPTED_LOOK_SECONDS: Final = 10.0
PAUSES_SECONDS: Final = 5.0
"""Seconds for which a worker that ends waits for pauses of receivers that are gone."""
RECONNECT_SECONDS: Final = 0.25
"""Seconds between attempts of a new worker to reach the database."""

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


def wait_for_database(commands: Connection) -> clock.DatabaseClock | None:
    """Read the database's clock as soon as it responds; None if the supervisor ends the worker before that."""
    is_waiting = False
    while True:
        try:
            return clock.DatabaseClock(clock.now())
        except Exception as error:
            if not is_database_fault(error):
                raise
            if not is_waiting:
                is_waiting = True
                logger.warning("a worker waits for the database: %s", str(error).partition("\n")[0])
        finally:
            connection.close()
        if commands.poll(RECONNECT_SECONDS):
            return None


class Worker:
    """The parts of a worker and the order in which they start and end."""

    def __init__(
        self, setup: WorkerSetup, memory: Any, commands: Connection, database_clock: clock.DatabaseClock
    ) -> None:
        self._setup = setup
        self._settings = conf.current()
        self._started = Started(memory)
        self._holder = Holder(setup.node_id, setup.node, setup.number, os.getpid())
        self._clock = database_clock
        self._drain = threading.Event()
        self._is_ending = False
        self._unstarted: list[Execution] = []
        pace = Pace()
        self._stats = MinuteStats(setup.node_id)
        self._receiver_pauses = ReceiverPauses()
        options = setup.options
        self._next_steps = NextSteps(options, self._idle_slots, self._started)
        self._recorder = Recorder(
            self._holder, self._clock, self._started, self._stats, self._recorded, self._receiver_pauses.put,
            self._next_steps,
        )  # fmt: skip
        pool = ThreadPool(setup.node, options.threads, self._clock, self._started, pace, self._recorder.put)
        loop = EventLoop(setup.node, options.concurrency, self._clock, self._started, pace, self._recorder.put)
        self._executor = Executor(pool, loop, self._clock, self._recorder.put)
        self._pool = pool
        self._agenda = Agenda(self._clock, self._hand_over)
        self._recalls = Recalls(
            self._holder, self._clock, self._started, self._agenda, self._executor, begin=self._begin_recalled,
            report=self._recorder.put, no_longer_held=self._no_longer_held, polls=not self._settings.notify,
        )  # fmt: skip
        idle = IdleSlots(lambda: pool.idle, lambda: loop.idle, self._agenda.waiting, pace, self._settings.look_ahead)
        self._capacity = capacity = Capacity(options.threads, options.concurrency, pace, pool.overrunning, idle=idle)
        sharing = Sharing(self._holder, options.partition, pace, capacity)
        self._relief = Relief(self._holder, self._clock, self._agenda, pool, pace, capacity, sharing)
        self._claimer = Claimer(
            self._holder, options, self._settings, self._clock, self._started, capacity, sharing, self._agenda,
            self._recalls.revoke, self._relief, lambda: self._recorder.pending, setup.clock_reading,
            self._next_steps,
        )  # fmt: skip
        self._listener = self._new_listener() if self._settings.notify else None
        self._commands = WatchedThread("commands", lambda: self._obey(commands))
        loops = (self._claimer.loop, self._recorder.loop, self._recalls.loop, self._receiver_pauses.loop)
        on_database = [each.thread for each in loops]
        if self._listener is not None:
            on_database.append(self._listener.thread)
        self._components = Components(self._agenda, pool, loop, on_database, self._commands)
        self._adopted = AdoptedProcesses()
        self._adopted_at = self._looked_at = 0.0

    def _new_listener(self) -> Listener:
        me = address((self._holder.node_id, self._holder.worker_pid))
        return Listener(
            self._claimer.notice, self._recalls.revoke, self._recalls.loop.wake, address=me,
            on_unavailable=self._recalls.poll,
        )  # fmt: skip

    def run(self) -> None:
        """Work until requested to drain, then end; the supervisor monitors the vitals meanwhile."""

        run_log.install()
        process_state.note_process()
        self._commands.start()
        self._recorder.loop.start()
        self._receiver_pauses.loop.start()
        self._executor.start()
        self._agenda.start()
        self._claimer.loop.start()
        self._recalls.loop.start()
        if self._listener is not None:
            self._listener.start()
        while not self._drain.wait(VITALS_SECONDS):
            self._say_vitals()
            self._look_at_components()
            self._executor.tick()
            self._obey_pause()
            self._obey_loss_of_lead()
            self._ask_for_relief()
            if self._started.taken_back:
                break
        self._end()

    def _hand_over(self, executions: Sequence[Execution]) -> None:
        self._executor.submit(executions)
        self._ask_for_relief()

    def _idle_slots(self) -> Callable[[Action], bool]:
        return self._capacity.idle_slots()

    def _ask_for_relief(self) -> None:
        """Request that executions which wait for slow handlers be released to workers that can start them in time."""
        if self._pool.is_full and (self._pool.queued() or len(self._agenda)):
            self._claimer.loop.wake()

    def _end(self) -> None:
        """Claim no more, release executions that have not begun, wait for those that have, record them."""
        self._next_steps.end()
        self._claimer.loop.stop()
        self._claimer.loop.join()
        self._is_ending = True
        self._agenda.stop()
        unstarted, self._unstarted = self._unstarted + self._relief.take(), []
        unstarted += self._agenda.take() + self._executor.take()
        if not self._started.taken_back:
            self._give_back(unstarted)
        while self._executor.busy or self._recorder.pending or self._recalls.pending:
            self._say_vitals()
            self._look_at_components()
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
        self._end_pauses()
        self._in_database(self._stats.flush)
        self._recorder.failures.tell_rest()
        self._say_vitals()
        self._executor.stop()
        # Threads of user code may survive; none of this worker's code waits for them.
        os._exit(0)

    def _end_pauses(self) -> None:
        """Wait for pauses of receivers that are gone. One that fails is repeated after the receiver's next outcome."""
        deadline = time.monotonic() + PAUSES_SECONDS
        while self._receiver_pauses.pending and time.monotonic() < deadline:
            self._say_vitals()
            time.sleep(0.02)
        self._receiver_pauses.loop.stop()

    def _give_back(self, executions: list[Execution]) -> None:
        deadline = time.monotonic() + self._setup.options.drain_timeout
        while executions and time.monotonic() < deadline:
            executions = self._released(executions, "gave %d executions back that had not begun")
            if not executions:
                return
            time.sleep(0.2)

    def _obey_pause(self) -> None:
        """While the cluster is paused, begin nothing: release executions claimed ahead when that can be written."""
        if self._claimer.is_paused:
            self._unstarted += self._agenda.take() + self._executor.take()
        if self._unstarted:
            words = "the cluster is paused: gave %d executions back that had not begun"
            self._unstarted = self._released(self._unstarted, words)

    def _obey_loss_of_lead(self) -> None:
        """Release executions that only the leader may fire and that have not begun, for the next leader."""
        if not self._claimer.take_lost_lead():
            return
        taken = self._agenda.take() + self._executor.take()
        led = [execution for execution in taken if self._claimer.is_led(execution.group)]
        gone = set(map(id, led))
        self._agenda.add([execution for execution in taken if id(execution) not in gone])
        words = "another node leads the partition: gave %d executions back that had not begun"
        self._unstarted += self._released(led, words)

    def _released(self, executions: list[Execution], words: str) -> list[Execution]:
        """Release executions that have not begun. Return those still held, for a later call. `words`: for the log."""
        released = self._in_database(lambda: self._release(executions))
        if released is None:
            return executions
        if released.given_back:
            logger.info(words, released.given_back)
        left = set(map(id, released.left))
        self._claimer.no_longer_held([execution for execution in executions if id(execution) not in left])
        return list(released.left)

    def _release(self, executions: list[Execution]) -> Released:
        released = release(self._holder, executions, self._clock.now_us())
        if released.given_back:
            # Other workers start them in time: most are due within the look-ahead.
            wake_workers()
        return released

    def _in_database(self, write: Callable[[], Result]) -> Result | None:
        """Write from the main thread. Return None, and log a line, if the database is unavailable."""
        try:
            return write()
        except Exception as error:
            if not is_database_fault(error):
                raise
            logger.warning("database unavailable, write skipped: %s", str(error).partition("\n")[0])
            return None
        finally:
            # Used rarely: a connection that is idle for days would only be found broken.
            connection.close()

    def _recorded(self, finished: Finished) -> None:
        self._claimer.hold(finished.continued)
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
        """Begin executions whose recall was rolled back; release them if this worker begins nothing more."""
        if self._is_ending:
            self._unstarted.extend(executions)
        else:
            self._agenda.add(executions)

    def _say_vitals(self) -> None:
        running = self._started.running() if self._executor.busy else []
        busy_threads, busy_async = self._executor.running
        counters = self._recorder.counters
        self._started.say(
            Vitals(
                pulse=time.monotonic(),
                earliest_deadline=min((cell.deadline for cell in running), default=0.0),
                busy_threads=busy_threads,
                busy_async=busy_async,
                held=self._claimer.held,
                succeeded=counters.succeeded,
                retried=counters.retried,
                failed=counters.failed,
                skipped=self._claimer.skipped,
            )
        )

    def _look_at_components(self) -> None:
        """Request the supervisor to replace this worker if one of its parts has ended or hangs."""
        now = time.monotonic()
        if now - self._looked_at < WATCH_SECONDS:
            return
        self._looked_at = now
        fault = self._components.fault(now, database_answers=self._started.lease_is_sure)
        if fault is not None and self._started.fault is None:
            logger.critical("worker %d must be replaced: %s", self._holder.worker, fault.reason)
            self._started.report_fault(fault)
        if now - self._adopted_at >= ADOPTED_LOOK_SECONDS:
            self._adopted_at = now
            self._adopted.collect(now)

    def _obey(self, commands: Connection) -> None:
        try:
            while commands.recv() != DRAIN:
                pass
        except (EOFError, OSError):
            # The supervisor has ended, and with it the node's heartbeat: other nodes will take over these executions.
            end_process_group()
        self._commands.expect_end()
        self._drain.set()
