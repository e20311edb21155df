"""Nodes that are stopped, frozen, or started again under their name: their work goes on, and nothing stale is kept."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.cluster.field import Call, Field, eventually
from tests.torture.live.system import processes_below

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

RUNNING = 4
FREEZE_BOUND = 15
KILL_BOUND = 5
WORKER_BOUND = 3


def running(field: Field, seconds: float) -> list[Call]:
    """Executions that run for so long in their first attempt, and a second in each further one."""
    # For one lease after a start of the server nobody is declared dead.
    eventually(lambda: field.value("SELECT clock_timestamp() - pg_postmaster_start_time() > INTERVAL '10 s'"))
    field.schedule("cluster.slow_first", RUNNING, payload=seconds)
    return eventually(lambda: calls if len(calls := field.calls()) == RUNNING else [])


def started_again(field: Field, within: float) -> float:
    """Wait until all of them have started again; returns when the last one did."""
    again = eventually(lambda: found if len(found := further(field)) == RUNNING else [], within)
    return max(call.at for call in again)


def further(field: Field) -> list[Call]:
    return [call for call in field.calls() if call.number_of_try > 1]


def state(field: Field, name: str) -> str:
    return str(field.value("SELECT state FROM timers_node WHERE name = %s ORDER BY id DESC LIMIT 1", name))


@pytest.mark.parametrize("whole", [True, False], ids=["node", "supervisor alone"])
def test_a_node_that_stands_still_longer_than_its_lease_records_nothing_afterwards(field: Field, whole: bool) -> None:
    node = field.start("a", "--workers", "1")
    running(field, 25)
    field.start("b", "--workers", "1")
    pids = [node.pid, *(processes_below(node.pid) if whole else [])]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    stopped_at = time.time()
    try:
        assert started_again(field, FREEZE_BOUND + 5) - stopped_at <= FREEZE_BOUND
        field.wait_until_succeeded(RUNNING)
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
    resumed_at = time.time()
    eventually(lambda: state(field, "a") == "active" and field.worker_pids("a"), within=10)
    assert time.time() - resumed_at <= 10
    field.schedule("cluster.count", 100)
    field.wait_until_succeeded(RUNNING + 100)
    assert node.poll() is None
    field.check_ledger(RUNNING + 100)


def test_heartbeats_go_on_in_a_drain_and_a_second_signal_ends_it(field: Field) -> None:
    node = field.start("a", "--workers", "1")
    running(field, 60)
    node.terminate()
    eventually(lambda: state(field, "a") == "draining")
    lease = "SELECT lease_expires_at FROM timers_node WHERE name = 'a'"
    for _ in range(3):
        before = field.value(lease)
        eventually(lambda known=before: field.value(lease) > known, within=5)  # type: ignore[misc]
    assert further(field) == [], "what runs in a drain is not taken away"
    node.send_signal(signal.SIGINT)
    assert node.wait(15) == 0
    field.nodes.pop("a")
    field.start("b", "--workers", "1")
    field.wait_until_succeeded(RUNNING)
    field.check_ledger(RUNNING)


def test_a_node_that_is_killed_in_a_drain_is_rescued(field: Field) -> None:
    node = field.start("a", "--workers", "1")
    running(field, 60)
    field.start("b", "--workers", "1")
    node.terminate()
    eventually(lambda: state(field, "a") == "draining")
    field.kill("a")
    killed_at = time.time()
    assert started_again(field, 20) - killed_at <= KILL_BOUND
    field.wait_until_succeeded(RUNNING)
    field.check_ledger(RUNNING)


def test_what_a_killed_worker_ran_starts_again_within_three_seconds(field: Field) -> None:
    field.start("a", "--workers", "1")
    running(field, 60)
    field.start("b", "--workers", "1")
    field.wait_for_workers(2)
    (worker,) = field.worker_pids("a")
    os.kill(worker, signal.SIGKILL)
    killed_at = time.time()
    assert started_again(field, 20) - killed_at <= WORKER_BOUND
    field.wait_until_succeeded(RUNNING)
    assert field.value("SELECT count(*) FROM timers_attempt WHERE outcome = 'lost'") == RUNNING
    field.check_ledger(RUNNING)


def test_a_node_that_comes_back_at_once_under_its_name_takes_up_what_it_ran(field: Field) -> None:
    field.start("a", "--workers", "1")
    running(field, 60)
    field.kill("a")
    killed_at = time.time()
    field.start("a", "--workers", "1")
    assert started_again(field, 20) - killed_at <= 2 * KILL_BOUND, "its start, and the rescue"
    field.wait_until_succeeded(RUNNING)
    field.check_ledger(RUNNING)
