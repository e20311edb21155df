from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from random import Random

import pytest

from tests.support.eventually import eventually
from tests.support.executions import START_US, execution
from timers.clock import DatabaseClock
from timers.engine.execution import Execution
from timers.schedules.instant import from_microseconds
from timers.testing import START
from timers.worker.agenda import Agenda


class Taker:
    """Notes what is handed over, and what the clock showed."""

    def __init__(self, clock: DatabaseClock) -> None:
        self.clock = clock
        self.got: list[tuple[int, Execution]] = []

    def __call__(self, executions: Sequence[Execution]) -> None:
        now_us = self.clock.now_us()
        self.got += [(now_us, execution) for execution in executions]

    @property
    def early(self) -> list[Execution]:
        return [execution for now_us, execution in self.got if now_us < execution.available_us]


@pytest.fixture
def clock() -> DatabaseClock:
    return DatabaseClock(START)


@pytest.fixture
def taker(clock: DatabaseClock) -> Taker:
    return Taker(clock)


@pytest.fixture
def agenda(clock: DatabaseClock, taker: Taker) -> Iterator[Agenda]:
    agenda = Agenda(clock, taker)
    agenda.start()
    yield agenda
    agenda.stop()


def test_nothing_is_handed_over_before_its_instant_and_everything_soon_after(agenda: Agenda, taker: Taker) -> None:
    random = Random(7)
    executions = [execution(at_us=START_US + random.randrange(300_000)) for _ in range(2000)]
    for start in range(0, 2000, 50):
        agenda.add(executions[start : start + 50])
    eventually(lambda: len(taker.got) == 2000)
    assert taker.early == []
    assert len({handed.id for _, handed in taker.got}) == 2000
    assert len(agenda) == 0


def test_what_is_due_is_handed_over_at_once_by_whoever_adds_it(clock: DatabaseClock, taker: Taker) -> None:
    agenda = Agenda(clock, taker)  # not started: nobody else can do it
    due, later = execution(at_us=START_US - 5), execution(at_us=START_US + 60_000_000)
    agenda.add([later, due])
    assert [handed for _, handed in taker.got] == [due]
    assert len(agenda) == 1


def test_an_earlier_instant_that_comes_later_goes_first(agenda: Agenda, taker: Taker) -> None:
    hour = execution(at_us=START_US + 3_600_000_000)
    soon = execution(at_us=START_US + 30_000)
    agenda.add([hour])
    agenda.add([soon])
    eventually(lambda: taker.got)
    assert [handed for _, handed in taker.got] == [soon]
    assert taker.early == []


def test_a_clock_that_was_set_back_meanwhile_is_waited_for(agenda: Agenda, taker: Taker, clock: DatabaseClock) -> None:
    agenda.add([execution(at_us=START_US + 50_000)])
    clock.set(from_microseconds(START_US - 100_000))
    eventually(lambda: taker.got)
    assert taker.early == []


def test_what_waits_can_be_taken_back_by_id_or_all(agenda: Agenda, taker: Taker) -> None:
    later = [execution(at_us=START_US + 3_600_000_000 + number) for number in range(5)]
    agenda.add(later)
    assert agenda.take({later[3].id, "unknown"}) == [later[3]]
    assert len(agenda) == 4
    assert {taken.id for taken in agenda.take()} == {later[number].id for number in (0, 1, 2, 4)}
    assert agenda.take() == []
    assert taker.got == []


def test_what_was_taken_back_is_not_handed_over(agenda: Agenda, taker: Taker) -> None:
    gone, stays = execution(at_us=START_US + 40_000), execution(at_us=START_US + 40_001)
    agenda.add([gone, stays])
    agenda.take({gone.id})
    eventually(lambda: taker.got)
    assert [handed for _, handed in taker.got] == [stays]


def test_it_stops_at_once_and_leaves_the_rest_for_taking(clock: DatabaseClock, taker: Taker) -> None:
    agenda = Agenda(clock, taker)
    agenda.start()
    agenda.add([execution(at_us=START_US + 3_600_000_000)])
    stopper = threading.Thread(target=agenda.stop)
    stopper.start()
    stopper.join(timeout=5)
    assert not stopper.is_alive()
    assert len(agenda.take()) == 1


@pytest.mark.parametrize("years", [-7, 7])
def test_what_is_due_by_the_clock_of_its_group_is_handed_over_at_once(
    agenda: Agenda, taker: Taker, clock: DatabaseClock, years: int
) -> None:
    shift_us = years * 365 * 86_400 * 1_000_000

    agenda.add([execution(at_us=clock.now_us() + shift_us, shift_us=shift_us)])

    assert len(taker.got) == 1
    assert len(agenda) == 0
