"""Descendants: no program started by a handler survives its worker.

    worker       leads its own session and is a subreaper (Linux): programs started by its handlers stay below it, even
                 if a program forks twice or creates its own session
    supervisor   is a subreaper too: when a worker dies, its descendants become children of the supervisor and are
                 killed, before the worker's executions are given to others
    guardian     does the same when the supervisor itself is killed (see guardian)

Other systems have no subreaper: there the process group of a worker is killed with it, and a program that left that
group survives.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import Final, NoReturn

from timers.worker import guardian

IS_LINUX: Final = sys.platform == "linux"
END_SECONDS: Final = 2.0
"""Maximum seconds to wait for killed descendants in one pass; the next pass kills the remaining ones again."""
ADOPTED_SECONDS: Final = 60.0
"""Seconds after which a worker collects the exit status of an adopted process that has ended; the delay leaves time for
a handler that still waits for it.
"""

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


def die_with_parent(parent: int) -> None:
    """Make the kernel kill this process when its parent dies, even if a handler holds the interpreter lock (Linux)."""
    if IS_LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # The parent died before the kernel was informed.


def become_subreaper() -> None:
    """Become the parent of every descendant whose own parent ends (Linux)."""
    if IS_LINUX:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def lead_session() -> None:
    """Make this worker the leader of its own session and process group, and the reaper of its descendants."""
    with contextlib.suppress(PermissionError):  # It is a leader already.
        os.setsid()
    become_subreaper()


def end_process_group() -> NoReturn:
    """End this worker at once, with all processes of its process group."""
    with contextlib.suppress(OSError):
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
    os._exit(1)


def children_of(pid: int) -> list[int]:
    """Return the child processes of a process, including ended ones not waited for; empty without /proc."""
    children: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                children += map(int, (task / "children").read_text(encoding="ascii").split())
    return children


class Descendants:
    """The supervisor's side: ends the descendants of dead workers, and keeps a guardian for its own death."""

    def __init__(self) -> None:
        self._mark = uuid.uuid4().hex
        self._workers: set[int] = set()
        self._guardian: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Prepare this process before its first worker starts."""
        become_subreaper()
        os.environ[guardian.MARK] = self._mark
        self.keep_guardian()

    def keep_guardian(self) -> bool:
        """Start the guardian if none is alive. Return whether one had ended."""
        if not IS_LINUX or (self._guardian is not None and self._guardian.poll() is None):
            return False
        had_ended = self._guardian is not None
        environment = {name: value for name, value in os.environ.items() if name != guardian.MARK}
        self._guardian = subprocess.Popen(
            # It gets the workers at its start: this process may end before it can send a message.
            [sys.executable, "-I", "-S", guardian.__file__, self._mark, *map(str, self._workers)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
            start_new_session=True, bufsize=0, cwd="/",
        )  # fmt: skip
        return had_ended

    def worker_started(self, pid: int) -> None:
        """Register a worker; the guardian ends its session after this process."""
        self._workers.add(pid)
        self._tell(f"+{pid}")

    def worker_ended(self, pid: int) -> int:
        """Kill everything that an ended worker left running. Return the number of processes."""
        if not IS_LINUX:
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
        self._workers.discard(pid)
        ended = self.end_orphans()
        self._tell(f"-{pid}")
        return ended

    def end_orphans(self) -> int:
        """Kill and collect processes adopted from dead workers. Return their number."""
        ended: set[int] = set()
        deadline = time.monotonic() + END_SECONDS
        # Repeat: the children of killed processes become children of this process in turn.
        while (orphans := self._orphans()) and time.monotonic() < deadline:
            for pid in orphans:
                guardian.kill(pid)
                with contextlib.suppress(ChildProcessError):
                    if os.waitpid(pid, os.WNOHANG)[0]:
                        ended.add(pid)
            time.sleep(0.002)
        return len(ended)

    def _orphans(self) -> list[int]:
        """Return children of this process that belong to another session, except its workers and its guardian.

        Workers lead their own sessions, so all their descendants are in other sessions than this process.
        """
        own: Collection[int] = {*self._workers, -1 if self._guardian is None else self._guardian.pid}
        session = os.getsid(0)
        found = (guardian.read_process(pid) for pid in children_of(os.getpid()) if pid not in own)
        return [each.pid for each in found if each is not None and each.session != session]

    def _tell(self, message: str) -> None:
        # The next pass restarts a guardian that has ended, with all workers that exist then.
        if self._guardian is not None and self._guardian.stdin is not None:
            with contextlib.suppress(OSError):
                self._guardian.stdin.write(f"{message}\n".encode())


class AdoptedProcesses:
    """The worker's side: collects ended processes whose parents ended before them, for which nobody else can wait."""

    def __init__(self) -> None:
        self._ended_since: dict[int, float] = {}

    def collect(self, now: float) -> None:
        """Make one pass; `now`: monotonic seconds.

        The kernel assigns adopted processes to the main thread, which starts none itself. An ended child of a handler's
        thread can get there too, while other code may still wait for it: hence the delay.
        """
        main = f"/proc/self/task/{os.getpid()}/children"
        ended: dict[int, float] = {}
        with contextlib.suppress(OSError):
            for pid in map(int, Path(main).read_text(encoding="ascii").split()):
                process = guardian.read_process(pid)
                if process is None or process.state != "Z":
                    continue
                since = self._ended_since.get(pid, now)
                if now - since < ADOPTED_SECONDS:
                    ended[pid] = since
                else:
                    with contextlib.suppress(ChildProcessError):
                        os.waitpid(pid, os.WNOHANG)
        self._ended_since = ended


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
