from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.eventually import eventually
from tests.support.executions import execution, started
from tests.support.handlers import TemporaryHandlers
from timers.clock import DatabaseClock
from timers.engine.outcome import Outcome
from timers.handlers import Fire
from timers.testing import START
from timers.worker.event_loop import EventLoop
from timers.worker.executor import Executor
from timers.worker.run_time_mean import UNKNOWN, Pace
from timers.worker.thread_pool import ThreadPool


@pytest.fixture
def outcomes() -> list[Outcome]:
    return []


@pytest.fixture
def executor(outcomes: list[Outcome]) -> Iterator[Executor]:
    clock, cells, pace = DatabaseClock(START), started(), Pace()
    executor = Executor(
        ThreadPool("node-a", 2, clock, cells, pace, outcomes.extend),
        EventLoop("node-a", 2, clock, cells, pace, outcomes.extend),
        clock,
        outcomes.extend,
    )
    executor.start()
    yield executor
    executor.stop()


def test_each_execution_goes_where_its_handler_can_run_and_what_cannot_run_is_reported(
    executor: Executor, outcomes: list[Outcome], handlers: TemporaryHandlers
) -> None:
    async def awaited(fire: Fire) -> str:
        return "awaited"

    handlers.add_async("tests.awaited", awaited)
    handlers.add("tests.plain", lambda fire: "plain")
    executor.submit(
        [
            execution("tests.plain"),
            execution("tests.awaited"),
            execution("tests.nobody"),
            execution("tests.plain", poison="unreadable"),
        ]
    )
    eventually(lambda: len(outcomes) == 4)
    assert sorted((each.word, each.result, each.reason) for each in outcomes if each.word == "succeeded") == [
        ("succeeded", '"awaited"', None),
        ("succeeded", '"plain"', None),
    ]
    unfit = sorted((str(each.reason), each.permanent, each.started_us) for each in outcomes if each.word == "error")
    assert unfit == [
        ("no handler named 'tests.nobody' is registered on this node", False, None),
        ("unreadable", True, None),
    ]
    eventually(lambda: executor.busy == 0)


def test_the_pace_follows_what_is_measured_and_starts_with_a_guess() -> None:
    pace = Pace()
    assert pace.seconds("x") == UNKNOWN
    assert pace.parallel("x", 8) == 8
    pace.measured("x", 1.0, 4)
    assert (pace.seconds("x"), pace.parallel("x", 8)) == (1.0, 4)
    for _ in range(50):
        pace.measured("x", 0.1, 4)
    assert pace.seconds("x") == pytest.approx(0.1, rel=0.01)
