"""Threads are watched: an end that nobody asked for, and a step that does not return, are found with their cause."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support.eventually import eventually
from tests.support.executions import started
from timers.worker.loop import Loop
from timers.worker.own_threads import OwnThreads
from timers.worker.pulse import Fault, Watch, WatchedThread


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def fail() -> None:
    raise SystemExit("no more")


def look(watch: Watch, *threads: WatchedThread) -> str:
    watch.begin(1000.0)
    found = watch.ended(threads)
    return "" if found is None else found[1]


def test_thread_that_ended_within_a_step_does_not_hang() -> None:
    thread: WatchedThread

    def begin_a_step() -> None:
        thread.busy()

    thread = WatchedThread("tested", begin_a_step, patience=1.0)
    thread.start()
    assert thread.join(10)
    assert thread.busy_since == 0.0


def test_thread_that_raises_is_found_with_the_cause() -> None:
    thread = WatchedThread("tested", fail)
    assert look(Watch(), thread) == "", "it has not begun"
    thread.start()
    thread.join(10)
    assert look(Watch(), thread) == "SystemExit: no more"


def test_thread_that_returns_is_found_and_one_that_may_end_is_not() -> None:
    unexpected, expected = WatchedThread("a", lambda: None), WatchedThread("b", lambda: None)
    expected.expect_end()
    for thread in (unexpected, expected):
        thread.start()
        thread.join(10)
    assert look(Watch(), expected) == ""
    assert look(Watch(), expected, unexpected) == "it returned"


def test_thread_that_ends_below_the_interpreter_is_found() -> None:
    thread = WatchedThread("tested", lambda: ctypes.CDLL(None).pthread_exit(None))
    thread.start()
    eventually(lambda: look(Watch(), thread) == "its system thread ended below the interpreter")


def test_step_that_outlasts_its_patience_is_found(gate: threading.Event) -> None:
    watch, thread = Watch(), WatchedThread("tested", lambda: None, patience=1.0)
    thread.busy()
    for now in (10.0, 10.4, 10.8):
        watch.begin(now)
        assert watch.hanging([thread]) is None
    for now in (11.2, 11.6):
        watch.begin(now)
        found = watch.hanging([thread])
    assert found is not None and found[0] is thread
    thread.idle()
    watch.begin(12.0)
    assert watch.hanging([thread]) is None


def test_time_in_which_the_process_was_frozen_does_not_count() -> None:
    watch, thread = Watch(), WatchedThread("tested", lambda: None, patience=2.0)
    thread.busy()
    for now in (10.0, 10.4, 500.0, 500.4):
        watch.begin(now)
        assert watch.hanging([thread]) is None


def test_first_fault_of_a_worker_reaches_the_supervisor() -> None:
    cells = started()
    assert cells.fault is None
    fault = Fault("agenda ended: \N{SNOWMAN}" + "x" * 1000, "01234567-89ab-8def-8123-456789abcdef", may_recover=True)
    cells.report_fault(fault)
    cells.report_fault(Fault("something else"))
    read = cells.fault
    assert read is not None
    assert fault.reason.startswith(read.reason) and len(read.reason) > 300
    assert (read.execution, read.may_recover) == (fault.execution, True)
    assert list(cells.cells()) == []


@pytest.mark.usefixtures("committed")
class TestOwnThreads:
    @pytest.fixture
    def loops(self) -> Iterator[Callable[[Callable[[], float], float], Loop]]:
        made: list[Loop] = []

        def make(step: Callable[[], float], patience: float = 60.0) -> Loop:
            made.append(Loop(f"loop-{len(made)}", step, patience=patience))
            made[-1].start()
            return made[-1]

        yield make
        for loop in made:
            loop.stop()
            assert loop.join(10)

    def test_thread_that_ended_goes_on_in_a_new_one(self, loops: Callable[..., Loop]) -> None:
        steps: list[int] = []

        def step() -> float:
            steps.append(1)
            if len(steps) == 1:
                raise SystemExit("no more")
            return 3600

        quiet, fragile = loops(lambda: 3600.0), loops(step)
        threads = OwnThreads(quiet, [fragile])
        eventually(lambda: not fragile.thread.is_running)
        threads.keep(10.0)
        eventually(lambda: len(steps) == 2)
        threads.keep(10.1)
        assert len(steps) == 2

    def test_beat_that_does_not_return_is_replaced(self, loops: Callable[..., Loop], gate: threading.Event) -> None:
        beats: list[int] = []

        def beat() -> float:
            beats.append(1)
            if len(beats) == 1:
                gate.wait(20)
            return 3600

        heartbeat = loops(beat, 1.0)
        eventually(lambda: beats)
        threads = OwnThreads(heartbeat, [])
        for tenths in range(100, 120, 4):
            threads.keep(tenths / 10)
        eventually(lambda: len(beats) == 2)
        gate.set()
