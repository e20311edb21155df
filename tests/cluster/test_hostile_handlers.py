"""Handlers that crash, exhaust or block their worker process: their own executions fail, and the node goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.cluster.field import Field, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

_SCHEDULE = """
from timers.scheduling import ensure_group, schedule_many
ensure_group("hostile", retry={{"max_retries": {retries}, "min_backoff": 0.1, "max_backoff": 0.1}})
schedule_many([dict(kind="once", group="hostile", name=f"{handler}-{{n}}", after=0, handler="cluster.{handler}")
               for n in range({count})])
"""


def schedule(field: Field, handler: str, count: int, retries: int = 1) -> None:
    field.run(_SCHEDULE.format(handler=handler, count=count, retries=retries))


def outcomes(field: Field, handler: str) -> dict[str, int]:
    """How many attempts of these ended in which way."""
    found = "SELECT outcome, count(*) FROM timers_attempt WHERE name LIKE %s GROUP BY 1"
    return dict(field.rows(found, f"{handler}-%"))


def parked(field: Field) -> int:
    return int(field.value("SELECT count(*) FROM timers_waiting WHERE state = 'failed'"))


def test_a_handler_that_crashes_its_process_fails_after_its_tries_and_others_succeed(field: Field) -> None:
    node = field.start("a", "--workers", "2")
    schedule(field, "segfault", 1)
    eventually(lambda: parked(field) == 1)
    assert outcomes(field, "segfault") == {"lost": 2}
    field.schedule("cluster.count", 100)
    eventually(lambda: field.succeeded() == 100)
    assert node.poll() is None
    eventually(lambda: len(field.worker_pids("a")) == 2)


def test_a_worker_whose_files_a_handler_has_closed_is_replaced(field: Field) -> None:
    node = field.start("a", "--workers", "1")
    schedule(field, "close_files", 1, retries=0)
    (call,) = eventually(field.calls)
    eventually(lambda: call.pid not in field.worker_pids("a") and field.worker_pids("a"))
    field.schedule("cluster.count", 100)
    eventually(lambda: field.value("SELECT count(*) FROM timers_attempt WHERE name LIKE 'cluster%%'") == 100)
    assert field.value("SELECT count(*) FROM timers_claim") == 0
    assert sum(outcomes(field, "close_files").values()) == 1, "its only attempt has an outcome"
    assert node.poll() is None


def test_slots_that_deaf_handlers_take_are_free_again_after_their_limit(field: Field) -> None:
    field.start("a", "--workers", "2", "--threads", "4")
    schedule(field, "deaf", 8, retries=0)
    eventually(lambda: len(field.calls()) == 8)
    began = max(call.at for call in field.calls())
    eventually(lambda: parked(field) == 8, within=30)
    eventually(lambda: len(field.worker_pids("a")) == 2)
    assert outcomes(field, "deaf") == {"timeout": 8}
    field.schedule("cluster.count", 50)
    eventually(lambda: len(field.calls()) == 58)
    (freed,) = field.rows(
        "SELECT max(extract(epoch FROM finished_at))::float8 FROM timers_attempt WHERE name LIKE 'd%%'"
    )
    assert freed[0] - began < 2 + 5, "the limit and five seconds"


def test_a_handler_that_runs_out_of_memory_fails_alone(field: Field) -> None:
    field.start("a", "--workers", "1")
    field.schedule("cluster.count", 200)
    schedule(field, "memory", 2, retries=0)
    eventually(lambda: parked(field) == 2, within=30)
    eventually(lambda: field.succeeded() == 200)
    (title,) = {title for (title,) in field.rows("SELECT error_title FROM timers_waiting")}
    assert title.startswith("MemoryError")


def test_supervisor_opens_no_files_for_leaks_of_handlers_nor_for_workers_that_it_replaces(field: Field) -> None:
    node = field.start("a", "--workers", "1")
    schedule(field, "leak", 50)
    eventually(lambda: outcomes(field, "leak") == {"succeeded": 50})
    files = Path(f"/proc/{node.pid}/fd")
    before = len(list(files.iterdir()))
    schedule(field, "leak", 300, retries=20)
    for _ in range(4):
        (worker,) = eventually(lambda: field.worker_pids("a"))
        os.kill(worker, signal.SIGKILL)
        eventually(lambda gone=worker: field.worker_pids("a") not in ([], [gone]))  # type: ignore[misc]
    eventually(lambda: outcomes(field, "leak").get("succeeded", 0) == 350, within=60)
    eventually(lambda: abs(len(list(files.iterdir())) - before) <= 5)
