"""The guardian: a tiny process that outlives a killed node and ends what the node's workers left running.

A supervisor that lives ends the descendants of its dead workers itself (see descendants). One that is killed cannot,
and the kernel kills its workers only, not the programs that handlers started. So each supervisor starts a guardian in a
session of its own. It reads the supervisor's messages from a pipe; the end of the pipe is the end of the supervisor.
Then it kills every process of the node: those that carry the node's mark in their environment (workers and what they
started), and those in the session of a worker (programs that were started with an environment of their own).

This file is run by path, without the site's packages: it must import nothing but the standard library.
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
"""The environment variable that a supervisor sets for its workers; handlers' programs inherit it."""
ROUNDS_WITHOUT_FIND: Final = 3
"""Rounds that must find nothing before the guardian ends: a process may be just forking."""
ROUND_SECONDS: Final = 0.05
GIVE_UP_SECONDS: Final = 30.0


class Process(NamedTuple):
    """One line of /proc."""

    pid: int
    state: str
    parent: int
    session: int


def read_process(pid: int) -> Process | None:
    """What /proc says about a process; None when it is gone (or there is no /proc)."""
    try:
        # The command's name is in parentheses and may hold any character, parentheses too.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return Process(pid, fields[0].decode(), int(fields[1]), int(fields[3]))
    except (OSError, ValueError, IndexError):
        return None


def processes_of(mark: str, sessions: Collection[int]) -> Iterator[int]:
    """The living processes that carry the mark or belong to one of the sessions, without the calling process."""
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
    """Kill the processes of a node until none is found; returns how many were."""
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
    """SIGKILL to a process that may be gone, or not ours."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def watch(mark: str, messages: BinaryIO, workers: Iterable[int]) -> None:
    """Follow the supervisor (`+pid`: a worker started, `-pid`: it and its descendants ended) to its end.

    `workers`: those that live at the start.
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
    """`guardian.py MARK [PID of a worker]...`, with the supervisor's pipe as standard input."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # It ends with its supervisor, by the pipe.
    watch(sys.argv[1], sys.stdin.buffer, map(int, sys.argv[2:]))


if __name__ == "__main__":
    main()
