from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from django.db import OperationalError, connection

from tests.support.eventually import eventually
from timers.worker import loop as loop_module
from timers.worker.loop import Loop, is_database_fault

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def loop() -> Iterator[Callable[..., Loop]]:
    loops: list[Loop] = []

    def start(step: Callable[[], float], **options: float) -> Loop:
        loops.append(Loop("tested", step, **options))
        loops[-1].start()
        return loops[-1]

    yield start
    for each in loops:
        each.stop()
        assert each.join(timeout=10)


def test_a_step_is_run_again_when_its_wait_is_over(loop: Callable[..., Loop]) -> None:
    steps: list[float] = []

    def step() -> float:
        steps.append(time.monotonic())
        return 0.02

    loop(step)
    eventually(lambda: len(steps) >= 4)
    assert steps[3] - steps[0] >= 0.06


def test_a_wake_cuts_the_wait_short_and_none_is_lost(loop: Callable[..., Loop]) -> None:
    steps: list[int] = []
    running, go_on = threading.Event(), threading.Event()

    def step() -> float:
        steps.append(1)
        running.set()
        go_on.wait(10)
        return 3600

    woken = loop(step)
    running.wait(10)
    # It comes in the middle of a step, whose work may have been done already: one more step serves it.
    woken.wake()
    go_on.set()
    eventually(lambda: len(steps) == 2)
    woken.wake()
    eventually(lambda: len(steps) == 3)


def test_a_stop_is_obeyed_at_once(loop: Callable[..., Loop]) -> None:
    stepped = threading.Event()

    def step() -> float:
        stepped.set()
        return 3600

    stopped = loop(step)
    stepped.wait(10)
    stopped.stop()
    assert stopped.join(timeout=5)
    assert stopped.stopping


@pytest.mark.parametrize("error", [ValueError("ours"), OperationalError("the database's")])
def test_a_failing_step_is_tried_again_with_a_new_connection(
    loop: Callable[..., Loop], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "FIRST_PAUSE", 0.001)
    pids: list[int] = []

    def step() -> float:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pids.append(cursor.fetchone()[0])
        if len(pids) < 3:
            raise error
        return 3600

    loop(step)
    eventually(lambda: len(pids) == 3)
    assert len(set(pids)) == 3


def test_pauses_between_tries_are_jittered_and_never_longer_than_a_second(
    loop: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    class Stopping(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if timeout is not None:
                pauses.append(timeout)
            return self.is_set()

    def step() -> float:
        if len(pauses) < 12:
            raise OperationalError("gone")
        return 3600

    tested = Loop("tested", step)
    tested._stopping = Stopping()
    tested.start()
    eventually(lambda: len(pauses) == 12)
    tested.stop()
    assert tested.join(timeout=10)
    assert all(0 < pause <= 1.0 for pause in pauses)
    assert all(pause >= 0.5 for pause in pauses[5:])
    assert len(set(pauses)) > 6


def test_its_session_guards_itself_against_holding_locks_for_long(loop: Callable[..., Loop]) -> None:
    told: dict[str, str] = {}

    def step() -> float:
        with connection.cursor() as cursor:
            for name in ("idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout"):
                cursor.execute(f"SHOW {name}")
                told[name] = cursor.fetchone()[0]
        return 3600

    loop(step)
    eventually(lambda: len(told) == 3)
    assert told == {
        "idle_in_transaction_session_timeout": "5s",
        "lock_timeout": "3s",
        "statement_timeout": "15s",
    }


def test_a_database_that_is_away_is_told_from_a_fault_of_ours() -> None:
    assert is_database_fault(OperationalError("gone"))
    assert not is_database_fault(ValueError("ours"))


def test_an_error_that_repeats_is_logged_once(loop: Callable[..., Loop], caplog: pytest.LogCaptureFixture) -> None:
    steps: list[int] = []

    def step() -> float:
        steps.append(1)
        raise OperationalError("no route" if len(steps) < 5 else "refused")

    loop(step, longest_pause=0.01)
    eventually(lambda: len(steps) > 8)
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == ["no route", "refused"]
