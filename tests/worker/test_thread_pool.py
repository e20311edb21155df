from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.executions import execution, started
from tests.support.handlers import TemporaryHandlers
from timers import handlers as registry
from timers.clock import DatabaseClock, boot_time
from timers.engine.outcome import Outcome
from timers.handlers import Fail, Fire
from timers.testing import START
from timers.worker.in_flight import Started
from timers.worker.run_time_mean import Pace
from timers.worker.thread_pool import Item, ThreadPool


class Bench:
    """A pool and what it reported."""

    def __init__(self, threads: int, cells: Started) -> None:
        self.outcomes: list[Outcome] = []
        self.started = cells
        self.pace = Pace()
        self.pool = ThreadPool("node-a", threads, DatabaseClock(START), cells, self.pace, self.outcomes.extend)
        self.pool.start()

    def items(self, handler: str, number: int) -> list[Item]:
        found = registry.find(handler)
        assert found is not None
        return [(execution(handler), found) for _ in range(number)]

    def ended(self, number: int) -> list[Outcome]:
        eventually(lambda: len(self.outcomes) >= number)
        return self.outcomes


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(threads: int = 2, *, sure: bool = True) -> Bench:
        benches.append(Bench(threads, started(sure=sure)))
        return benches[-1]

    yield make
    for each in benches:
        each.pool.stop()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a handler waits for; open at the end of the test at the latest."""
    event = threading.Event()
    yield event
    event.set()


def test_each_execution_is_run_once_and_its_end_reported(
    bench: Callable[..., Bench], handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.echo", lambda fire: fire.execution_id)
    b = bench(threads=4)
    items = b.items("tests.echo", 500)
    b.pool.submit(items)
    outcomes = b.ended(500)
    assert sorted(str(outcome.result) for outcome in outcomes) == sorted(f'"{item[0].id}"' for item in items)
    assert {outcome.word for outcome in outcomes} == {"succeeded"}
    assert all(outcome.started_us is not None for outcome in outcomes)
    eventually(lambda: b.pool.busy == 0)


@pytest.mark.parametrize(
    "error", [ValueError("down"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), Fail("no"), RecursionError()]
)
def test_whatever_a_handler_raises_is_an_outcome_and_the_thread_lives_on(
    bench: Callable[..., Bench], handlers: TemporaryHandlers, error: BaseException
) -> None:
    handlers.script("tests.fails", error)
    b = bench(threads=1)
    b.pool.submit(b.items("tests.fails", 3))
    b.pool.submit(b.items("tests.noop", 1))
    outcomes = b.ended(4)
    assert [outcome.word for outcome in outcomes] == ["error"] * 3 + ["succeeded"]
    assert type(error).__name__ in str(outcomes[0].error_title)


def test_what_waits_behind_a_long_item_of_a_chunk_is_put_back_for_other_threads(
    bench: Callable[..., Bench], handlers: TemporaryHandlers, gate: threading.Event
) -> None:
    first = threading.Lock()

    def stall_once(fire: Fire) -> None:
        if first.acquire(blocking=False):
            gate.wait(20)

    handlers.add("tests.mixed", stall_once)
    b = bench(threads=2)
    # It has been quick so far: a thread takes a whole chunk.
    b.pace.measured("tests.mixed", 0.00001, 2)
    b.pool.submit(b.items("tests.mixed", 50))

    def others_done() -> bool:
        b.pool.spread_stalled_chunks()
        return len(b.outcomes) == 49

    eventually(others_done)
    assert b.pool.busy >= 1
    gate.set()
    b.ended(50)
    assert len({outcome.execution.id for outcome in b.outcomes}) == 50


def test_slow_handlers_are_taken_singly(
    bench: Callable[..., Bench], handlers: TemporaryHandlers, gate: threading.Event
) -> None:
    handlers.add("tests.slow", lambda fire: gate.wait(20))
    b = bench(threads=3)
    b.pool.submit(b.items("tests.slow", 5))
    eventually(lambda: len(handlers.calls) == 3)
    assert b.pool.busy == 3
    assert len(b.started.running()) == 3
    gate.set()
    b.ended(5)


def test_what_has_not_begun_can_be_taken_back_and_is_not_run(
    bench: Callable[..., Bench], handlers: TemporaryHandlers, gate: threading.Event
) -> None:
    handlers.add("tests.slow", lambda fire: gate.wait(20))
    b = bench(threads=1)
    b.pace.measured("tests.slow", 0.00001, 1)
    items = b.items("tests.slow", 10)
    b.pool.submit(items)
    eventually(lambda: handlers.calls)
    assert b.pool.take({items[5][0].id}) == [items[5][0]]
    taken = b.pool.take()
    assert [execution.id for execution in taken] == [items[n][0].id for n in (1, 2, 3, 4, 6, 7, 8, 9)]
    gate.set()
    b.ended(1)
    eventually(lambda: b.pool.busy == 0)
    assert len(handlers.calls) == 1


def test_a_running_handler_is_asked_to_end_and_its_end_is_its_own(
    bench: Callable[..., Bench], handlers: TemporaryHandlers
) -> None:
    def patient(fire: Fire) -> str:
        if fire.cancelled.wait(20):
            raise InterruptedError("as I was asked")
        return "was not asked"

    handlers.add("tests.patient", patient)
    b = bench(threads=2)
    items = b.items("tests.patient", 2)
    b.pool.submit(items)
    eventually(lambda: len(b.started.running()) == 2)
    b.pool.cancel({items[0][0].id, "somebody else's"})
    (first,) = b.ended(1)
    assert (first.execution, first.error_title) == (items[0][0], "InterruptedError: as I was asked")
    assert not items[1][0].cancelled.is_set()
    b.pool.cancel([items[1][0].id])
    b.ended(2)
    b.pool.cancel([item[0].id for item in items])


def test_a_handler_that_looks_now_and_then_sees_that_it_shall_end(
    bench: Callable[..., Bench], handlers: TemporaryHandlers
) -> None:
    def looks(fire: Fire) -> str:
        eventually(fire.cancelled.is_set)
        return "what I have"

    handlers.add("tests.looks", looks)
    b = bench(threads=1)
    items = b.items("tests.looks", 1)
    b.pool.submit(items)
    eventually(b.started.running)
    b.pool.cancel([items[0][0].id])
    (outcome,) = b.ended(1)
    assert (outcome.word, outcome.result) == ("succeeded", '"what I have"')


def test_asking_one_to_end_asks_no_other_of_its_chunk(
    bench: Callable[..., Bench], handlers: TemporaryHandlers, gate: threading.Event
) -> None:
    asked: list[bool] = []

    def notes(fire: Fire) -> None:
        gate.wait(20)
        asked.append(fire.cancelled.is_set())

    handlers.add("tests.notes", notes)
    b = bench(threads=1)
    b.pace.measured("tests.notes", 0.00001, 1)
    items = b.items("tests.notes", 5)
    b.pool.submit(items)
    eventually(lambda: handlers.calls)
    # Its own request comes while it waits in the chunk: it is taken out there, as the worker does first.
    assert b.pool.take([items[3][0].id]) == [items[3][0]]
    b.pool.cancel([items[0][0].id, items[3][0].id])
    gate.set()
    b.ended(4)
    assert asked == [True, False, False, False]


def test_nothing_begins_while_the_lease_is_not_sure(bench: Callable[..., Bench], handlers: TemporaryHandlers) -> None:
    b = bench(threads=1, sure=False)
    b.pool.submit(b.items("tests.noop", 3))
    eventually(lambda: b.pool.busy == 1)
    assert handlers.calls == []
    b.started.lease_is_sure_until(boot_time() + 3600)
    b.ended(3)


def test_nothing_begins_after_the_supervisor_took_back_what_had_not(
    bench: Callable[..., Bench], handlers: TemporaryHandlers
) -> None:
    b = bench(threads=1)
    b.started.take_back()
    b.pool.submit(b.items("tests.noop", 3))
    eventually(lambda: b.pool.busy == 0 and not b.pool.take())
    assert handlers.calls == []
    assert b.outcomes == []
    assert b.started.running() == []


def test_a_running_handler_has_a_cell_with_its_limit_and_keeps_it_until_it_is_recorded(
    bench: Callable[..., Bench], handlers: TemporaryHandlers, gate: threading.Event
) -> None:
    handlers.add("tests.slow", lambda fire: gate.wait(20), timeout=30)
    b = bench(threads=1)
    ((held, handler),) = items = b.items("tests.slow", 1)
    b.pool.submit(items)
    (cell,) = eventually(b.started.running)
    assert cell.execution == held.id
    assert 25 < cell.deadline - time.monotonic() <= 30
    gate.set()
    b.ended(1)
    assert b.started.running() == []
    assert [cell.execution for cell in b.started.cells()] == [held.id]
    assert held.cell >= 0
    assert handler.timeout == 30


def test_a_handlers_result_and_error_do_not_leak_into_the_next(
    bench: Callable[..., Bench], handlers: TemporaryHandlers
) -> None:
    results: list[Any] = [{"a": 1}, ValueError("x"), None]
    handlers.script("tests.mixed", *results)
    b = bench(threads=1)
    b.pool.submit(b.items("tests.mixed", 3))
    one, two, three = b.ended(3)
    assert (one.result, one.error_title) == ('{"a":1}', None)
    assert (two.result, two.error_title) == (None, "ValueError: x")
    assert (three.result, three.error_title) == (None, None)


def test_idle_threads_are_those_with_nothing_to_run_or_queued(
    bench: Callable[..., Bench], handlers: TemporaryHandlers, gate: threading.Event
) -> None:
    handlers.add("tests.wait", lambda _: gate.wait(20))
    b = bench(threads=3)
    assert b.pool.idle == 3
    b.pool.submit(b.items("tests.wait", 2))
    eventually(lambda: b.pool.busy == 2)
    assert b.pool.idle == 1
    b.pool.submit(b.items("tests.wait", 5))
    eventually(lambda: b.pool.busy == 3)
    assert b.pool.idle == 0


def test_a_thread_overruns_by_the_run_time_of_its_group(
    bench: Callable[..., Bench], handlers: TemporaryHandlers, gate: threading.Event
) -> None:
    """A slow group counts its executions as slow already, though their handler is quick in other groups."""
    handlers.add("tests.wait", lambda _: gate.wait(20))
    b = bench(threads=2)
    b.pace.measured("tests.wait", 0.02, 2)
    b.pace.measured(1, 60.0, 2)
    b.pool.submit(b.items("tests.wait", 2))
    eventually(lambda: b.pool.running == 2)
    time.sleep(0.1)
    assert b.pool.overrunning() == 0
    for _ in range(60):
        b.pace.measured(1, 0.001, 2)
    assert b.pool.overrunning() > 1.9
