"""The guardian: a small process that outlives a killed node and ends everything that the node's workers left running.

A live supervisor ends the descendants of its dead workers itself (see descendants). A killed one cannot, and the kernel
kills only its workers, not the programs that handlers started. So each supervisor starts a guardian in its own session.
It reads the supervisor's messages from a pipe; the end of the pipe means the end of the supervisor. Then it kills every
process of the node: those with the node's mark in their environment (workers and the programs they started), and those
in the session of a worker (programs started with another environment).

This file is run by path, without site-packages: it must import only the standard library.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

MARK: Final = "DISTRIBUTED_TIMERS_NODE"
"""The environment variable that a supervisor sets for its workers; programs started by handlers inherit it."""
ROUNDS_WITHOUT_FIND: Final = 3
"""Rounds that must find nothing before the guardian ends: a process may be forking at that moment."""
ROUND_SECONDS: Final = 0.05
GIVE_UP_SECONDS: Final = 30.0


class Process(NamedTuple):
    """The fields of /proc/PID/stat that are used."""

    pid: int
    state: str
    parent: int
    session: int


def read_process(pid: int) -> Process | None:
    """Return the state of a process from /proc; None if it has ended (or there is no /proc)."""
    try:
        # The command's name is in parentheses and may contain any character, including parentheses.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return Process(pid, fields[0].decode(), int(fields[1]), int(fields[3]))
    except (OSError, ValueError, IndexError):
        return None


def processes_of(mark: str, sessions: Collection[int]) -> Iterator[int]:
    """Yield the live processes with the mark or in one of the sessions, except the calling process."""
    needle = f"{MARK}={mark}\0".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        process = read_process(int(entry.name))
        if process is None or process.state in "ZX":
            continue
        if process.session in sessions or _has_in_environment(process.pid, needle):
            yield process.pid


def end_all(mark: str, sessions: Collection[int]) -> int:
    """Kill the processes of a node until none is found. Return how many were killed."""
    killed: set[int] = set()
    empty = 0
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while empty < ROUNDS_WITHOUT_FIND and time.monotonic() < deadline:
        found = list(processes_of(mark, sessions))
        for pid in found:
            kill(pid)
        killed.update(found)
        empty = 0 if found else empty + 1
        time.sleep(ROUND_SECONDS)
    return len(killed)


def kill(pid: int) -> None:
    """Send SIGKILL to a process that may have ended, or belong to another user."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def watch(mark: str, messages: BinaryIO, workers: Iterable[int]) -> None:
    """Read the supervisor's messages (`+pid`: a worker started, `-pid`: it and its descendants ended) until it ends.

    Args:
        mark: the node's mark.
        messages: the supervisor's pipe.
        workers: process ids of the workers that exist at the start.
    """
    sessions = set(workers)
    for line in messages:
        pid = int(line[1:])
        if line.startswith(b"+"):
            sessions.add(pid)
        else:
            sessions.discard(pid)
    end_all(mark, sessions)


def _has_in_environment(pid: int, needle: bytes) -> bool:
    try:
        return needle in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def main() -> None:
    """Run `guardian.py MARK [PID of a worker]...`, with the supervisor's pipe as standard input."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # It ends with its supervisor, by the pipe.
    watch(sys.argv[1], sys.stdin.buffer, map(int, sys.argv[2:]))


if __name__ == "__main__":
    main()
