from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from tests.support.eventually import eventually
from tests.support.executions import execution, started
from tests.support.handlers import TemporaryHandlers
from timers import handlers as registry
from timers.clock import DatabaseClock, boot_time
from timers.engine.outcome import Outcome
from timers.handlers import Fire, Snooze
from timers.testing import START
from timers.worker.event_loop import CANCEL_SECONDS, EventLoop
from timers.worker.run_time_mean import Pace
from timers.worker.thread_pool import Item


class Bench:
    """A loop and what it reported."""

    def __init__(self, concurrency: int, *, sure: bool) -> None:
        self.outcomes: list[Outcome] = []
        self.started = started(sure=sure)
        self.loop = EventLoop("node-a", concurrency, DatabaseClock(START), self.started, Pace(), self.outcomes.extend)
        self.loop.start()

    def submit(self, handler: str, number: int = 1) -> list[Item]:
        found = registry.find(handler)
        assert found is not None
        items = [(execution(handler), found) for _ in range(number)]
        self.loop.submit(items)
        return items

    def ended(self, number: int) -> list[Outcome]:
        eventually(lambda: len(self.outcomes) >= number)
        return self.outcomes


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(concurrency: int = 10, *, sure: bool = True) -> Bench:
        benches.append(Bench(concurrency, sure=sure))
        return benches[-1]

    yield make
    for each in benches:
        each.loop.stop()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What handlers wait for."""
    event = threading.Event()
    yield event
    event.set()


async def wait_for(gate: threading.Event) -> None:
    while not gate.is_set():
        await asyncio.sleep(0.001)


def test_handlers_run_together_up_to_the_concurrency(
    bench: Callable[..., Bench], handlers: TemporaryHandlers, gate: threading.Event
) -> None:
    async def wait(fire: Fire) -> str:
        await wait_for(gate)
        return fire.execution_id

    handlers.add_async("tests.waits", wait)
    b = bench(concurrency=4)
    items = b.submit("tests.waits", 10)
    eventually(lambda: len(handlers.calls) == 4)
    assert b.loop.busy == 4
    assert len(b.started.running()) == 4
    taken = b.loop.take({items[7][0].id})
    assert taken == [items[7][0]]
    gate.set()
    assert len(b.ended(9)) == 9
    eventually(lambda: b.loop.busy == 0)
    assert {outcome.result for outcome in b.outcomes} == {f'"{item[0].id}"' for item in items if item[0] not in taken}


def test_a_handler_is_cancelled_at_its_limit_and_the_others_go_on(
    bench: Callable[..., Bench], handlers: TemporaryHandlers
) -> None:
    cleaned_up = threading.Event()

    async def forever(fire: Fire) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up.set()

    async def quick(fire: Fire) -> str:
        return "done"

    handlers.add_async("tests.forever", forever, timeout=0.05)
    handlers.add_async("tests.quick", quick)
    b = bench()
    b.submit("tests.forever")
    b.submit("tests.quick")
    by_word = {outcome.word: outcome for outcome in b.ended(2)}
    assert set(by_word) == {"timeout", "succeeded"}
    late = by_word["timeout"]
    assert late.reason == "ran longer than its limit of 0.05 s"
    assert late.started_us is not None
    assert late.finished_us - late.started_us >= 50_000
    assert cleaned_up.is_set()


def test_the_loop_has_time_to_end_what_reached_its_limit_before_it_counts_as_overrunning(
    bench: Callable[..., Bench], handlers: TemporaryHandlers, gate: threading.Event
) -> None:
    async def wait(fire: Fire) -> None:
        await wait_for(gate)

    handlers.add_async("tests.waits", wait, timeout=30)
    b = bench()
    before = time.monotonic()
    b.submit("tests.waits")
    eventually(b.started.running)

    (cell,) = b.started.running()
    assert cell.deadline >= before + 30 + CANCEL_SECONDS


def test_a_timeout_of_the_handlers_own_is_its_error_and_no_overrun(
    bench: Callable[..., Bench], handlers: TemporaryHandlers
) -> None:
    async def own(fire: Fire) -> None:
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()

    handlers.add_async("tests.own", own)
    b = bench()
    b.submit("tests.own")
    (outcome,) = b.ended(1)
    assert (outcome.word, outcome.error_title) == ("error", "TimeoutError")


def test_a_handler_that_is_asked_to_end_is_cancelled_and_sees_why(
    bench: Callable[..., Bench], handlers: TemporaryHandlers
) -> None:
    seen: list[bool] = []

    async def forever(fire: Fire) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append(fire.cancelled.is_set())

    handlers.add_async("tests.forever", forever)
    b = bench()
    (asked, other) = b.submit("tests.forever", 2)
    eventually(lambda: len(b.started.running()) == 2)
    b.loop.cancel({asked[0].id, "somebody else's"})
    (outcome,) = b.ended(1)
    assert (outcome.execution, outcome.word, outcome.error_title) == (asked[0], "error", "CancelledError")
    assert seen == [True]
    b.loop.cancel({other[0].id})
    b.ended(2)


def test_a_handler_may_tidy_up_and_return_though_it_is_asked_twice(
    bench: Callable[..., Bench], handlers: TemporaryHandlers, gate: threading.Event
) -> None:
    async def tidies_up(fire: Fire) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await wait_for(gate)
        return "tidy"

    handlers.add_async("tests.tidies", tidies_up)
    b = bench()
    ((held, _),) = b.submit("tests.tidies")
    eventually(b.started.running)
    # The request comes by NOTIFY and again with every poll: a second one must not break what the first began.
    for _ in range(5):
        b.loop.cancel({held.id})
    gate.set()
    (outcome,) = b.ended(1)
    assert (outcome.word, outcome.result) == ("succeeded", '"tidy"')


def test_one_that_goes_on_though_it_was_asked_to_end_is_stopped_at_its_limit(
    bench: Callable[..., Bench], handlers: TemporaryHandlers
) -> None:
    async def stubborn(fire: Fire) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    handlers.add_async("tests.stubborn", stubborn, timeout=0.2)
    b = bench()
    ((held, _),) = b.submit("tests.stubborn")
    eventually(b.started.running)
    b.loop.cancel({held.id})
    assert b.ended(1)[0].word == "timeout"


@pytest.mark.parametrize("error", [ValueError("down"), asyncio.CancelledError(), Snooze(5)])
def test_whatever_a_handler_raises_is_an_outcome_and_the_loop_lives_on(
    bench: Callable[..., Bench], handlers: TemporaryHandlers, error: BaseException
) -> None:
    async def fails(fire: Fire) -> None:
        raise error

    async def quick(fire: Fire) -> None: ...

    handlers.add_async("tests.fails", fails)
    handlers.add_async("tests.quick", quick)
    b = bench()
    b.submit("tests.fails")
    assert b.ended(1)[0].word == ("snoozed" if isinstance(error, Snooze) else "error")
    b.submit("tests.quick")
    assert b.ended(2)[1].word == "succeeded"


def test_nothing_begins_while_the_lease_is_not_sure(bench: Callable[..., Bench], handlers: TemporaryHandlers) -> None:
    async def quick(fire: Fire) -> None: ...

    handlers.add_async("tests.quick", quick)
    b = bench(sure=False)
    b.submit("tests.quick", 3)
    eventually(lambda: b.loop.busy == 3)
    assert handlers.calls == []
    b.started.lease_is_sure_until(boot_time() + 3600)
    b.ended(3)


def test_nothing_begins_after_the_supervisor_took_back_what_had_not(
    bench: Callable[..., Bench], handlers: TemporaryHandlers
) -> None:
    async def quick(fire: Fire) -> None: ...

    handlers.add_async("tests.quick", quick)
    b = bench()
    b.started.take_back()
    b.submit("tests.quick", 3)
    eventually(lambda: b.loop.busy == 0 and not b.loop.take())
    assert handlers.calls == []
    assert b.outcomes == []


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_what_runs_when_the_loop_ends_is_gone_with_it(handlers: TemporaryHandlers) -> None:
    async def wait(fire: Fire) -> None:
        await asyncio.Event().wait()

    handlers.add_async("tests.waits", wait, timeout=30)
    b = Bench(1, sure=True)
    b.submit("tests.waits")
    eventually(b.started.running)
    b.loop.stop()
    outcomes = b.outcomes
    del b
    gc.collect()
    assert outcomes == []


@pytest.mark.parametrize(
    "name",
    ["stop", "set_debug", "set_exception_handler", "set_task_factory", "set_default_executor", "shutdown_asyncgens"],
)
def test_handler_cannot_change_the_loop_of_its_neighbours(
    bench: Callable[..., Bench], handlers: TemporaryHandlers, name: str
) -> None:
    async def change(fire: Fire) -> None:
        getattr(asyncio.get_running_loop(), name)(*([None] if name.startswith("set") else []))

    handlers.add_async("tests.changes", change)
    b = bench()
    b.submit("tests.changes")
    (outcome,) = b.ended(1)
    assert outcome.error_title == f"RuntimeError: the event loop is its worker's: {name}() is refused"


def test_handler_cannot_cancel_a_neighbour(
    bench: Callable[..., Bench], handlers: TemporaryHandlers, gate: threading.Event
) -> None:
    async def wait(fire: Fire) -> str:
        await wait_for(gate)
        return "done"

    async def cancel_all(fire: Fire) -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    handlers.add_async("tests.waits", wait)
    handlers.add_async("tests.cancels", cancel_all)
    b = bench()
    b.submit("tests.waits")
    eventually(b.started.running)
    b.submit("tests.cancels")
    (guilty,) = b.ended(1)
    assert guilty.error_title == "RuntimeError: this task is another execution's; a handler cannot cancel it"
    gate.set()
    assert b.ended(2)[1].result == '"done"'


@pytest.mark.parametrize("error", [GeneratorExit(), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
def test_whatever_an_async_handler_or_a_task_that_it_awaits_raises_is_its_outcome(
    bench: Callable[..., Bench], handlers: TemporaryHandlers, error: BaseException
) -> None:
    async def raises(fire: Fire) -> None:
        raise error

    async def awaits(fire: Fire) -> None:
        await asyncio.create_task(raises(fire))

    handlers.add_async("tests.raises", raises)
    handlers.add_async("tests.awaits", awaits)
    b = bench()
    b.submit("tests.raises")
    b.submit("tests.awaits")
    outcomes = b.ended(2)
    assert {outcome.word for outcome in outcomes} == {"error"}
    assert {str(outcome.error_title).partition(":")[0] for outcome in outcomes} == {type(error).__name__}
    b.submit("tests.raises")
    b.ended(3)


def test_handler_cannot_close_the_coroutine_of_a_neighbour(
    bench: Callable[..., Bench], handlers: TemporaryHandlers, gate: threading.Event
) -> None:
    async def wait(fire: Fire) -> None:
        await wait_for(gate)

    async def close_others(fire: Fire) -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.get_coro().close()

    handlers.add_async("tests.waits", wait)
    handlers.add_async("tests.closes", close_others)
    b = bench()
    b.submit("tests.waits")
    eventually(b.started.running)
    b.submit("tests.closes")
    assert [outcome.word for outcome in b.ended(1)] == ["error"]
    gate.set()
    assert [outcome.word for outcome in b.ended(2)] == ["error", "succeeded"]
    assert b.started.running() == []
