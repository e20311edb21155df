"""Pulse: monitors every thread of a worker or supervisor, so that none can end or hang unnoticed.

A WatchedThread records what ended it and since when its present step has run. A Watch checks several of them a few
times per second and reports the first fault. In a worker the main thread checks, and publishes the fault to the
supervisor, which replaces the worker. The supervisor monitors the main thread itself, by its vitals.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from timers.engine import errors

logger = logging.getLogger(__name__)

DATABASE_STEP_SECONDS: Final = 60.0
"""Longer than the timeouts of our sessions let any statement run: a step that takes longer, while the node's heartbeats
succeed, will not return.
"""
LOOK_SECONDS: Final = 0.5
"""Maximum seconds that one check counts towards a hang: a frozen process checks again before its threads can continue.
"""
WATCH_SECONDS: Final = 0.35
"""Minimum seconds between two checks of the threads of a process, whose main thread runs more often."""
TASKS_SECONDS: Final = 1.0
"""Seconds between reads of the existing threads from the kernel."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a worker must be replaced."""

    reason: str
    """Which component ended or hangs, and the cause."""
    execution: str = ""
    """The execution that caused it, if known."""
    may_recover: bool = False
    """Whether it may pass: the execution blocks a component and is within its limit."""


class WatchedThread:
    """A daemon thread that records how it ended.

    Args:
        name: shown in logs.
        run: the thread's work; it returns only after `expect_end()`.
        patience: seconds that one step (between `busy` and `idle`) may take; None: any time.
    """

    def __init__(self, name: str, run: Callable[[], None], *, patience: float | None = None) -> None:
        self.name = name
        self.patience = patience
        self.busy_since = 0.0
        """time.monotonic() at the start of the present step; 0: it waits."""
        self._target = run
        self._ends = False
        self._cause = ""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def expect_end(self) -> None:
        """Declare that from now on the end of the thread is not a fault."""
        self._ends = True

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end. Return False if it has not come within `timeout` seconds."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def ident(self) -> int | None:
        """The thread's identifier in Python; None before its start."""
        return self._thread.ident

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._thread.is_alive()

    def busy(self) -> None:
        """Record that a step begins; called by the thread."""
        self.busy_since = time.monotonic()

    def idle(self) -> None:
        """Record that a step has ended; called by the thread."""
        self.busy_since = 0.0

    def end_cause(self, tasks: set[int] | None = None) -> str:
        """Return what ended the thread; empty while it runs, before its start and after an expected end.

        Args:
            tasks: the kernel's ids of this process's threads, to detect one that ended without Python's knowledge.
        """
        if self._ends or self._thread.ident is None:
            return ""
        if not self._thread.is_alive():
            return self._cause or "it ended without a cause"
        task = self._thread.native_id
        # It may have been started after the ids were read.
        if (
            tasks is not None
            and task is not None
            and task not in tasks
            and not Path(f"/proc/self/task/{task}").exists()
        ):
            return "its system thread ended below the interpreter"
        return ""

    def _run(self) -> None:
        try:
            self._target()
            self._cause = "it returned"
        except BaseException as error:  # noqa: BLE001 - the purpose is to record any cause of the end
            self._cause = errors.short_title(error)
            if not self._ends:
                logger.critical("thread %s ended: %s\n%s", self.name, self._cause, errors.describe(error).detail)
        finally:
            # A thread that has ended does not hang.
            self.idle()


class Watch:
    """Checks threads, and other signs of a hang; one per process, called by its main thread."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, float]] = {}
        """By name: the start of the condition that was seen last, and for how long it has been seen since."""
        self._looked_at = 0.0
        self._elapsed = 0.0
        self._tasks: set[int] | None = None
        self._tasks_at = 0.0

    def begin(self, now: float) -> None:
        """Begin a check; call it regularly. `now`: time.monotonic()."""
        self._elapsed = min(now - self._looked_at, LOOK_SECONDS) if self._looked_at else 0.0
        self._looked_at = now
        if now - self._tasks_at >= TASKS_SECONDS:
            self._tasks, self._tasks_at = _tasks(), now

    def ended(self, threads: Iterable[WatchedThread]) -> tuple[WatchedThread, str] | None:
        """Return the first thread that has ended unexpectedly, and what ended it."""
        for thread in threads:
            if cause := thread.end_cause(self._tasks):
                return thread, cause
        return None

    def hanging(self, threads: Iterable[WatchedThread]) -> tuple[WatchedThread, float] | None:
        """Return the first thread whose present step has run longer than its patience, and for how many seconds."""
        for thread in threads:
            if thread.patience is not None:
                seconds = self.lasts(thread.name, thread.busy_since)
                if seconds > thread.patience:
                    return thread, seconds
        return None

    def lasts(self, name: str, since: float) -> float:
        """Return for how many seconds the condition of that name has been seen.

        Time is counted by checks, so that time in which this process was frozen does not count. `since`: its start,
        which distinguishes one such condition from the next; 0: it does not hold.
        """
        before, seconds = self._seen.get(name, (0.0, 0.0))
        seconds = seconds + self._elapsed if since and since == before else 0.0
        self._seen[name] = (since, seconds)
        return seconds


def _tasks() -> set[int] | None:
    if sys.platform != "linux":
        return None
    try:
        return {int(entry.name) for entry in Path("/proc/self/task").iterdir()}
    except OSError:
        return None
