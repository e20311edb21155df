from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any, NoReturn

import pytest
from django.db import OperationalError

from tests import factories
from tests.support.executions import started
from timers.clock import DatabaseClock
from timers.engine.execution import Execution
from timers.engine.release import Released, release
from timers.models import Claim, Node, Waiting
from timers.scheduling import schedule_once
from timers.testing import Stepper, VirtualTime
from timers.worker import relief as relief_module
from timers.worker.agenda import Agenda
from timers.worker.capacity import Capacity
from timers.worker.relief import Relief, late_starts
from timers.worker.run_time_mean import Pace
from timers.worker.sharing import Sharing
from timers.worker.thread_pool import ThreadPool


@pytest.mark.parametrize(
    ("free_in", "entries", "late"),
    [
        ([0.0], [(0.0, 1.0)], []),
        ([inf], [(0.0, 1.0)], [0]),
        ([inf, 0.2], [(0.0, 25.0), (0.0, 25.0)], [1]),
        ([1.0], [(0.9, 1.0)], []),
        ([1.0], [(0.5, 1.0)], [0]),
        ([inf, inf], [(5.0, 1.0)], [0]),
        # What passed long ago counts from now.
        ([0.1], [(-60.0, 1.0)], []),
        ([0.1], [(-60.0, 1.0), (-60.0, 1.0)], [1]),
        # A late one takes no thread from those behind it.
        ([0.3], [(0.0, 9.0), (0.2, 0.1)], [0]),
        ([0.0], [(0.0, 0.1)] * 4, [3]),
    ],
)
def test_late_starts(free_in: list[float], entries: list[tuple[float, float]], late: list[int]) -> None:
    assert late_starts(free_in, entries) == late


class FullPool(ThreadPool):
    """A pool whose threads all run something without an end; what is submitted stays in the queue."""

    is_full = True

    def seconds_until_free(self) -> list[float]:
        return [inf]


class Bench:
    """A full worker of node-a with what it has claimed; other workers are rows."""

    def __init__(self, node: Stepper) -> None:
        clock, pace = DatabaseClock(node.time.now), Pace()
        self.capacity = Capacity(1, 0, pace)
        self.pool = FullPool("node-a", 1, clock, started(), pace, lambda outcomes: None)
        self.agenda = Agenda(clock, lambda executions: None)
        sharing = Sharing(node.holder, "default", pace, self.capacity)
        self.relief = Relief(node.holder, clock, self.agenda, self.pool, pace, self.capacity, sharing)

    def hold(self, executions: list[Execution]) -> None:
        self.capacity.add(executions)
        self.agenda.add(executions)


def claimed_ahead(node: Stepper, count: int) -> list[Execution]:
    factories.group("work")
    for number in range(count):
        schedule_once("work", f"{number}", after=1)
    node.look_ahead = 1.5
    return node.claim()


def other_worker(threads: int) -> None:
    factories.node(threads=threads, async_slots=0, slots=threads, workers=1)


@pytest.mark.usefixtures("handlers")
def test_what_would_start_late_goes_back_uncounted_while_others_have_free_threads(
    node: Stepper, time: VirtualTime
) -> None:
    other_worker(threads=8)
    bench = Bench(node)
    bench.hold(claimed_ahead(node, 3))
    bench.relief.step()
    assert (len(bench.agenda), bench.capacity.held, Claim.objects.count()) == (0, 0, 0)
    assert list(Waiting.objects.values_list("state", "attempt", "reason")) == [("ready", 0, "released")] * 3
    other = Stepper(time, look_ahead=1.5)
    assert [execution.attempt for execution in other.claim()] == [1] * 3


@pytest.mark.usefixtures("handlers")
def test_no_more_goes_back_than_others_have_free_threads(node: Stepper) -> None:
    other_worker(threads=2)
    bench = Bench(node)
    bench.hold(claimed_ahead(node, 5))
    bench.relief.step()
    assert (len(bench.agenda), bench.capacity.held, Waiting.objects.count()) == (3, 3, 2)


@pytest.mark.usefixtures("handlers")
def test_everything_stays_where_no_other_worker_has_a_free_thread(node: Stepper) -> None:
    Node.objects.update(state="active")
    bench = Bench(node)
    bench.hold(claimed_ahead(node, 3))
    bench.relief.step()
    assert (len(bench.agenda), Waiting.objects.count()) == (3, 0)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("known", [[], ["tests.other"]])
def test_everything_stays_where_no_other_worker_knows_the_handler(node: Stepper, known: list[str]) -> None:
    factories.node(threads=8, async_slots=0, slots=8, workers=1, handlers=known)
    bench = Bench(node)
    bench.hold(claimed_ahead(node, 3))
    bench.relief.step()
    assert (len(bench.agenda), bench.capacity.held, Waiting.objects.count()) == (3, 3, 0)


@pytest.mark.usefixtures("handlers")
def test_everything_stays_where_no_other_worker_has_the_groups_roles(node: Stepper) -> None:
    other_worker(threads=8)
    bench = Bench(node)
    executions = claimed_ahead(node, 3)
    for execution in executions:
        execution.group = replace(execution.group, required_roles=frozenset({"gpu"}))
    bench.hold(executions)
    bench.relief.step()
    assert (len(bench.agenda), Waiting.objects.count()) == (3, 0)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("is_committed", [True, False])
def test_what_may_have_been_given_back_never_begins_here(
    node: Stepper, monkeypatch: pytest.MonkeyPatch, *, is_committed: bool
) -> None:
    other_worker(threads=8)
    bench = Bench(node)
    bench.hold(claimed_ahead(node, 3))

    def cut_off(*said: Any) -> NoReturn:
        if is_committed:
            release(*said)
        raise OperationalError("the connection is closed")

    with monkeypatch.context() as patch:
        patch.setattr(relief_module, "release", cut_off)
        with pytest.raises(OperationalError):
            bench.relief.step()
    assert (len(bench.agenda), bench.pool.queued(), bench.capacity.held) == (0, [], 3)
    bench.relief.step()
    assert (len(bench.agenda), bench.capacity.held, Waiting.objects.count()) == (0, 0, 3)
    assert bench.relief.take() == []


@pytest.mark.usefixtures("handlers")
def test_a_worker_that_ends_takes_over_what_could_not_be_given_back(
    node: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_worker(threads=8)
    bench = Bench(node)
    executions = claimed_ahead(node, 3)
    bench.hold(executions)
    monkeypatch.setattr(relief_module, "release", lambda *said: Released(0, tuple(said[1])))
    bench.relief.step()
    assert bench.capacity.held == 3
    assert {execution.id for execution in bench.relief.take()} == {execution.id for execution in executions}
