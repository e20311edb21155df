"""A worker process as its supervisor sees it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Final

from timers.engine.execution import Holder
from timers.engine.rescue import Fate
from timers.engine.step_detector import ClockReading
from timers.worker import process
from timers.worker.in_flight import RUNNING, Started, Vitals, shared_memory
from timers.worker.options import DRAIN, NodeOptions, WorkerSetup
from timers.worker.pulse import Fault

STUCK_SECONDS: Final = 2.5
"""After this silence while a handler runs, the handler blocks the worker (a call that holds the interpreter lock)."""
SILENT_SECONDS: Final = 10.0
"""After this silence, the worker's main thread has ended or hangs."""
START_SECONDS: Final = 120.0
"""Maximum time for a worker to import the handlers and report for the first time."""
KILL_SECONDS: Final = 5.0
"""Maximum time to wait for a killed process; one that the kernel delays longer can no longer do anything."""

_context: Final[SpawnContext] = multiprocessing.get_context("spawn")


class Child:
    """One spawned worker, its shared memory and its command pipe."""

    def __init__(
        self, node_id: int, options: NodeOptions, number: int, clock_reading: ClockReading | None = None
    ) -> None:
        memory = shared_memory(_context)
        self.number = number
        self.started = Started(memory)
        receiver, self._commands = _context.Pipe(duplex=False)
        self._process: SpawnProcess = _context.Process(
            target=process.main,
            args=(WorkerSetup(node_id, options.name, number, options, os.getpid(), clock_reading), memory, receiver),
            name=f"worker-{number}",
            daemon=False,
        )
        self._process.start()
        receiver.close()
        self.born = time.monotonic()
        self.holder = Holder(node_id, options.name, number, self.pid)

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    @property
    def exit_code(self) -> int | None:
        """As in multiprocessing: negative for a signal, None while it runs."""
        return self._process.exitcode

    @property
    def vitals(self) -> Vitals:
        """The worker's last report."""
        return self.started.vitals()

    @property
    def fault(self) -> Fault | None:
        """Why the worker requests to be replaced; None: it does not."""
        return self.started.fault

    def silence(self, awake_since: float) -> str:
        """Return why the worker must be replaced because of its silence; empty: it need not be.

        Args:
            awake_since: time.monotonic() since when the supervisor itself has run without a break.
        """
        pulse = self.vitals.pulse
        silent = time.monotonic() - max(pulse or self.born, awake_since)
        if pulse == 0:
            return f"it has not come up within {START_SECONDS:.0f} s" if silent > START_SECONDS else ""
        if silent > STUCK_SECONDS and self.started.running():
            return "a handler keeps the interpreter"
        return f"its main thread has shown no sign of life for {silent:.0f} s" if silent > SILENT_SECONDS else ""

    def overrun(self) -> list[str]:
        """Return the executions whose handler runs beyond its limit."""
        now = time.monotonic()
        vitals = self.vitals
        if now - vitals.pulse < STUCK_SECONDS and not 0 < vitals.earliest_deadline < now:
            return []
        return [cell.execution for cell in self.started.running() if cell.deadline < now]

    def drain(self) -> None:
        """Request the worker to drain and end."""
        # The supervisor's watch detects a worker that has ended already.
        with contextlib.suppress(OSError):
            self._commands.send(DRAIN)

    def kill(self) -> None:
        """Kill the process at once and wait until it has ended."""
        self._process.kill()
        self._process.join(KILL_SECONDS)

    def join(self, timeout: float) -> bool:
        """Wait for the end of the process. Return whether it has ended."""
        self._process.join(timeout)
        return not self.alive

    def fates(self, reason: str, overran: frozenset[str] = frozenset(), culprit: str = "") -> dict[str, Fate]:
        """Return the fates of the executions that had begun, after the end of the process.

        Args:
            reason: why it ended.
            overran: executions that ran beyond their limit and caused the end; the others are not to blame.
            culprit: the execution that caused the end in another way. If no cause is known, all running executions
                count the attempt, so that a crash loop ends.
        """
        fates: dict[str, Fate] = {}
        for cell in self.started.cells():
            if cell.execution in overran:
                fates[cell.execution] = Fate(cell.started_us, "timeout", "ran longer than its limit and was stopped")
            elif cell.state == RUNNING:
                is_innocent = bool(overran) or (bool(culprit) and cell.execution != culprit)
                fates[cell.execution] = Fate(cell.started_us, "lost", reason, forgiven=is_innocent)
            else:
                fates[cell.execution] = Fate(
                    cell.started_us, "lost", f"ended, but was not recorded: {reason}", forgiven=True
                )
        return fates
