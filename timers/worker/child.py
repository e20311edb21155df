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
"""A worker that says nothing for so long while a handler runs is held by it (a call that keeps the interpreter)."""
SILENT_SECONDS: Final = 10.0
"""A worker that says nothing for so long has no main thread any more, or one that hangs."""
START_SECONDS: Final = 120.0
"""How long a worker may take to import the handlers and say something for the first time."""
KILL_SECONDS: Final = 5.0
"""How long a killed process may take to be gone; one that the kernel holds back longer can do nothing more."""

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
        """As of multiprocessing: negative for a signal, None while it runs."""
        return self._process.exitcode

    @property
    def vitals(self) -> Vitals:
        """What the worker said last."""
        return self.started.vitals()

    @property
    def fault(self) -> Fault | None:
        """Why the worker asks to be replaced; None: it does not."""
        return self.started.fault

    def silence(self, awake_since: float) -> str:
        """Why the worker's silence says that it must be replaced; empty: it does not.

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
        """Executions whose handler runs beyond its limit."""
        now = time.monotonic()
        vitals = self.vitals
        if now - vitals.pulse < STUCK_SECONDS and not 0 < vitals.earliest_deadline < now:
            return []
        return [cell.execution for cell in self.started.running() if cell.deadline < now]

    def drain(self) -> None:
        """Tell the worker to end in order."""
        # A worker that has ended already is seen by the supervisor's watch.
        with contextlib.suppress(OSError):
            self._commands.send(DRAIN)

    def kill(self) -> None:
        """End the process at once and wait until it is gone."""
        self._process.kill()
        self._process.join(KILL_SECONDS)

    def join(self, timeout: float) -> bool:
        """Wait for the end; whether it came."""
        self._process.join(timeout)
        return not self.alive

    def fates(self, reason: str, overran: frozenset[str] = frozenset(), culprit: str = "") -> dict[str, Fate]:
        """What became of the executions that had begun, after the end of the process.

        Args:
            reason: why it ended.
            overran: those that ran beyond their limit, the cause of it all; the others are not to blame.
            culprit: the execution that caused the end in another way. Where no cause is known, all that were running
                are held to account, so a crash loop ends.
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
