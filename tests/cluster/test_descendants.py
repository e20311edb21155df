"""Programs that handlers started: none outlives its worker, however worker and node end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.field import Field, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

STARTED = 4


def run(field: Field, payload: str) -> list[int]:
    """Start a node and the handler that starts programs; returns their process ids."""
    field.start("a", "--workers", "1")
    field.run(_ONE.format(payload=payload))
    pids = eventually(lambda: found if len(found := started(field)) == STARTED else [])
    assert all(lives(pid) for pid in pids)
    return pids


def started(field: Field) -> list[int]:
    path = Path(f"{field.folder / 'calls'}.children")
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


def lives(pid: int) -> bool:
    """Whether it runs; one that has ended and is not collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def none_lives(pids: list[int]) -> Callable[[], bool]:
    return lambda: not any(lives(pid) for pid in pids)


def test_programs_end_with_a_worker_that_is_killed(field: Field) -> None:
    pids = run(field, "return")
    (worker,) = field.worker_pids("a")
    os.kill(worker, signal.SIGKILL)
    eventually(none_lives(pids), within=5)
    eventually(lambda: "processes that its handlers had started were killed with it" in field.log("a"))


def test_programs_of_an_overrunning_handler_end_before_its_retry(field: Field) -> None:
    first = run(field, "overrun")
    # The next try starts its own; by then the first ones are gone.
    eventually(lambda: len(started(field)) >= STARTED + 1, within=30)
    assert none_lives(first)()


def test_programs_end_with_a_node_whose_process_group_is_killed(field: Field) -> None:
    pids = run(field, "return")
    field.kill("a")
    eventually(none_lives(pids), within=5)


def test_programs_end_with_a_supervisor_that_is_killed_alone(field: Field) -> None:
    pids = run(field, "return")
    node = field.nodes.pop("a")
    node.kill()
    node.wait()
    eventually(none_lives(pids), within=5)


def test_programs_end_when_supervisor_and_workers_are_killed_together(field: Field) -> None:
    pids = run(field, "return")
    workers = field.worker_pids("a")
    node = field.nodes.pop("a")
    for pid in (node.pid, *workers):
        os.kill(pid, signal.SIGKILL)
    node.wait()
    eventually(none_lives(pids), within=5)


def test_programs_end_with_a_node_that_stops_in_order(field: Field) -> None:
    pids = run(field, "return")
    assert field.stop("a") == 0
    assert none_lives(pids)()


def test_guardian_that_is_killed_is_started_again(field: Field) -> None:
    pids = run(field, "return")
    guardian = eventually(lambda: _guardians(field.nodes["a"].pid))[0]
    os.kill(guardian, signal.SIGKILL)
    eventually(lambda: [pid for pid in _guardians(field.nodes["a"].pid) if pid != guardian])
    field.kill("a")
    eventually(none_lives(pids), within=5)


def _guardians(supervisor: int) -> list[int]:
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return [int(pid) for pid in children if b"guardian" in Path(f"/proc/{pid}/cmdline").read_bytes()]


_ONE = """
from timers.scheduling import ensure_group, schedule_once
ensure_group("work", retry={{"max_retries": 5, "min_backoff": 0.1, "max_backoff": 0.1}})
schedule_once("work", "starts", after=0, handler="cluster.children", payload={payload!r})
"""
