from __future__ import annotations

import pytest

from tests.support.executions import execution
from timers.clock import boot_time
from timers.engine.execution import Holder
from timers.engine.rescue import Fate
from timers.worker.child import Child
from timers.worker.in_flight import CELLS, ENDED, RUNNING, SIZE, Cell, Started, Vitals

IDS = [execution().id for _ in range(4)]


@pytest.fixture
def memory() -> bytearray:
    return bytearray(SIZE)


def test_the_cells_outlive_the_process_that_wrote_them(memory: bytearray) -> None:
    worker = Started(memory)
    running, ended, recorded = (worker.begin(IDS[n], 1_000_000 + n, 50.5 + n) for n in range(3))
    worker.end(ended)
    worker.end(recorded)
    worker.forget(recorded)
    # The supervisor reads the same memory after the worker is gone.
    supervisor = Started(memory)
    assert list(supervisor.cells()) == [
        Cell(RUNNING, 50.5, 1_000_000, IDS[0]),
        Cell(ENDED, 51.5, 1_000_001, IDS[1]),
    ]
    assert [cell.execution for cell in supervisor.running()] == [IDS[0]]
    assert running != ended != recorded


def test_a_cell_that_was_freed_is_used_again(memory: bytearray) -> None:
    worker = Started(memory)
    for _ in range(3 * CELLS):
        worker.forget(worker.begin(IDS[0], 1, 1.0))
    assert list(worker.cells()) == []
    assert len({worker.begin(IDS[0], 1, 1.0) for _ in range(CELLS)}) == CELLS
    assert len(list(worker.cells())) == CELLS


def test_vitals_come_through(memory: bytearray) -> None:
    said = Vitals(
        pulse=123.25,
        earliest_deadline=130.5,
        busy_threads=3,
        busy_async=4,
        held=70,
        succeeded=2**40,
        retried=5,
        failed=6,
        skipped=7,
    )
    assert Started(memory).vitals() == Vitals(0, 0, 0, 0, 0, 0, 0, 0, 0)
    Started(memory).say(said)
    assert Started(memory).vitals() == said


def test_neither_vitals_nor_lease_nor_cells_overwrite_each_other(memory: bytearray) -> None:
    view = Started(memory)
    full = Vitals(1e300, 1e300, *[2**62] * 7)
    view.say(full)
    view.lease_is_sure_until(boot_time() + 100)
    assert not view.taken_back
    view.take_back()
    view.begin(IDS[0], 2**60, 1e300)
    assert (view.vitals(), view.lease_is_sure, view.taken_back) == (full, True, True)
    assert [cell.execution for cell in view.cells()] == [IDS[0]]


def test_a_lease_is_not_sure_before_the_first_heartbeat_and_after_its_end(memory: bytearray) -> None:
    worker, supervisor = Started(memory), Started(memory)
    assert not worker.lease_is_sure
    supervisor.lease_is_sure_until(boot_time() + 100)
    assert worker.lease_is_sure
    supervisor.lease_is_sure_until(boot_time() - 0.001)
    assert not worker.lease_is_sure


def dead_child(memory: bytearray) -> Child:
    """A child without a process: what the supervisor has left of it."""
    child = object.__new__(Child)
    child.started = Started(memory)
    child.holder = Holder(1, "node-a", 1, 4711)
    return child


def test_what_was_running_when_a_worker_crashed_is_held_to_account(memory: bytearray) -> None:
    child = dead_child(memory)
    child.started.begin(IDS[0], 5, 1.0)
    child.started.end(child.started.begin(IDS[1], 6, 1.0))
    assert child.fates("exited with code 3") == {
        IDS[0]: Fate(5, "lost", "exited with code 3", forgiven=False),
        IDS[1]: Fate(6, "lost", "ended, but was not recorded: exited with code 3", forgiven=True),
    }


def test_where_one_handler_overran_its_neighbours_are_forgiven(memory: bytearray) -> None:
    child = dead_child(memory)
    child.started.begin(IDS[0], 5, 1.0)
    child.started.begin(IDS[1], 6, 1e9)
    fates = child.fates("stopped", frozenset({IDS[0]}))
    assert fates[IDS[0]].word == "timeout" and not fates[IDS[0]].forgiven
    assert fates[IDS[1]] == Fate(6, "lost", "stopped", forgiven=True)
