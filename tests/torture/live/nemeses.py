"""Nemeses: each fault begins, lasts for a while, and is repaired."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.torture.live.plan import Strike
from tests.torture.live.records import Journal
from tests.torture.live.system import Node, System, processes_below

CLOCK_SHIFTS: Final = (300.0, -300.0, 3600.0, -30.0)
SLOW_SECONDS: Final = 0.05
REPLIES: Final = 6
REPLY_SECONDS: Final = 20.0
"""Within which so many replies are to be lost; a node that has just started commits little."""
TAKES_ITS_TIME: Final = frozenset({"reply", "rolling"})


class CannotStrike(Exception):
    """This machine cannot inject the fault; the message says why."""


Fault = Callable[[System, Strike, random.Random], Iterator[dict[str, object]]]


def strike(system: System, planned: Strike, journal: Journal, rng: random.Random) -> bool:
    """Let one fault happen, from its begin to its repair; False when this machine cannot inject it."""
    fault = contextmanager(FAULTS[planned.nemesis])
    try:
        with fault(system, planned, rng) as facts:
            journal.write(nemesis=planned.nemesis, phase="begin", **facts)
            if planned.nemesis not in TAKES_ITS_TIME:
                time.sleep(planned.seconds)
    except CannotStrike as reason:
        journal.write(nemesis=planned.nemesis, phase="skipped", reason=str(reason))
        return False
    journal.write(nemesis=planned.nemesis, phase="end", **facts)
    return True


def _facts(node: Node) -> dict[str, object]:
    pids = [] if node.process is None else [node.process.pid, *processes_below(node.process.pid)]
    return {"node": node.name, "pids": pids}


def kill(system: System, planned: Strike, rng: random.Random) -> Iterator[dict[str, object]]:
    """kill -9 of a node with all its processes; it starts again afterwards."""
    node = system.nodes[planned.node]
    facts = _facts(node)
    node.signal(signal.SIGKILL)
    yield facts
    system.start_node(node)


def child(system: System, planned: Strike, rng: random.Random) -> Iterator[dict[str, object]]:
    """kill -9 of one worker process."""
    node = system.nodes[planned.node]
    [(supervisor,)] = system.rows("SELECT pid FROM timers_node WHERE name = %s AND state = 'active'", node.name)
    workers = [pid for pid in processes_below(supervisor) if _is_worker(pid)]
    hit = rng.choice(workers)
    os.kill(hit, signal.SIGKILL)
    yield {"node": node.name, "pids": [hit]}


def freeze(system: System, planned: Strike, rng: random.Random) -> Iterator[dict[str, object]]:
    """A whole node stands still for longer than its lease, then goes on."""
    node = system.nodes[planned.node]
    facts = _facts(node)
    node.signal(signal.SIGSTOP)
    yield facts
    node.signal(signal.SIGCONT)


def cut(system: System, planned: Strike, rng: random.Random) -> Iterator[dict[str, object]]:
    """The network between a node and the database is down for longer than its lease."""
    node = system.nodes[planned.node]
    facts = _facts(node)
    node.proxy.cut()
    yield facts
    node.proxy.mend()


def reply(system: System, planned: Strike, rng: random.Random) -> Iterator[dict[str, object]]:
    """Commits take effect, and the connection ends before the node hears of it."""
    node = system.nodes[planned.node]
    before = node.proxy.replies_lost
    node.proxy.lose_replies(REPLIES)
    facts = _facts(node)
    yield facts
    deadline = time.monotonic() + REPLY_SECONDS
    while node.proxy.replies_lost < before + REPLIES and time.monotonic() < deadline:
        time.sleep(0.05)
    node.proxy.mend()
    facts["lost"] = node.proxy.replies_lost - before


def dbrestart(system: System, planned: Strike, rng: random.Random) -> Iterator[dict[str, object]]:
    """The database server crashes and comes back."""
    pid = system.server.pid()
    if pid is not None:
        os.kill(pid, rng.choice([signal.SIGINT, signal.SIGQUIT]))
    yield {}
    system.server.start()


def slow(system: System, planned: Strike, rng: random.Random) -> Iterator[dict[str, object]]:
    """Every message between all nodes and the database is delayed."""
    for node in system.nodes:
        node.proxy.slow(SLOW_SECONDS)
    yield {"seconds": SLOW_SECONDS}
    for node in system.nodes:
        node.proxy.mend()


def disk(system: System, planned: Strike, rng: random.Random) -> Iterator[dict[str, object]]:
    """The file system of the database is full."""
    if not system.is_on_tmpfs:
        raise CannotStrike("a file system for the database alone can be mounted by root only")
    ballast = system.database_folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 65_536)
    yield {}
    ballast.unlink()
    system.server.start()


def clock(system: System, planned: Strike, rng: random.Random) -> Iterator[dict[str, object]]:
    """The wall clock of a node jumps, and back."""
    if system.shim is None:
        raise CannotStrike("there is no C compiler to build the clock shim with")
    node, seconds = system.nodes[planned.node], rng.choice(CLOCK_SHIFTS)
    node.shift_clock(seconds)
    yield {"node": node.name, "seconds": seconds}
    node.shift_clock(0)


def rolling(system: System, planned: Strike, rng: random.Random) -> Iterator[dict[str, object]]:
    """Each node in turn is stopped in order and started again."""
    codes: list[int] = []
    yield {"codes": codes}
    for node in system.nodes:
        if node.process is not None:
            node.process.terminate()
            codes.append(node.process.wait(60))
        system.start_node(node)
        system.wait_until_active(len(system.nodes))


FAULTS: Final[dict[str, Fault]] = {
    "kill": kill, "child": child, "freeze": freeze, "cut": cut, "reply": reply, "dbrestart": dbrestart, "slow": slow,
    "disk": disk, "clock": clock, "rolling": rolling,
}  # fmt: skip


def _is_worker(pid: int) -> bool:
    try:
        return "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False
