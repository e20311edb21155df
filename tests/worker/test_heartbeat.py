from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError

from timers import conf
from timers.control.nodes import drain_node
from timers.engine.nodes import Beat, beat, register
from timers.models import Node
from timers.server.commit_waits import CommitWait
from timers.testing import VirtualTime, registration
from timers.worker import heartbeat as heartbeat_module
from timers.worker.heartbeat import Heartbeat


class BootClock:
    """Seconds since boot, as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def boot(monkeypatch: pytest.MonkeyPatch) -> BootClock:
    clock = BootClock()
    monkeypatch.setattr(heartbeat_module, "boot_time", clock)
    return clock


@pytest.fixture
def row(time: VirtualTime) -> Node:
    return register(registration("node-a"))


def made(row: Node, renewed: list[int] | None = None, **settings: object) -> Heartbeat:
    told = renewed if renewed is not None else []
    return Heartbeat(
        row.id,
        conf.load({"TIMERS_CRASH_LOCK": False} | settings),
        lambda: (2, 1, 1024, {"1": {}}, True),
        lambda: told.append(1),
    )


def test_a_beat_renews_the_lease_on_both_sides(row: Node, boot: BootClock, time: VirtualTime) -> None:
    renewed: list[int] = []
    heart = made(row, renewed)
    boot.now += 4
    time.advance(4)
    assert heart.step() == 2.0
    assert (heart.last_ok, heart.lease_ends, renewed) == (1004, 1014, [1])
    row.refresh_from_db()
    assert (row.heartbeat_at, row.state, row.busy, row.rss) == (time.now, "active", 3, 1024)


@pytest.mark.parametrize(("seconds", "rest"), [(0.5, 1.5), (2, 0), (5, 0)])
def test_the_next_beat_comes_an_interval_after_the_last_one_began(
    seconds: float, rest: float, row: Node, boot: BootClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    heart = made(row)

    def slow(*words: Any) -> object:
        boot.now += seconds
        return beat(*words)

    monkeypatch.setattr(heartbeat_module, "beat", slow)
    assert heart.step() == rest
    assert heart.last_ok == 1000


def test_a_beat_that_comes_through_after_later_ones_takes_nothing_back(
    row: Node, boot: BootClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    heart = made(row)

    def late(*_: object) -> object:
        monkeypatch.setattr(heartbeat_module, "beat", beat)
        boot.now += 60
        heart.step()
        return beat(row.id, 10, Beat(0.0, 0, 0, 0, {}))

    monkeypatch.setattr(heartbeat_module, "beat", late)
    heart.step()
    assert heart.last_ok == 1060


def test_why_beats_fail_while_commits_wait_is_logged_once(
    row: Node, boot: BootClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> object:
        raise OperationalError("canceling statement due to lock timeout")

    heart = made(row)
    monkeypatch.setattr(heartbeat_module, "commit_waits", lambda limit: [CommitWait(4711, "timers", 12.3)])
    monkeypatch.setattr(heartbeat_module, "beat", fails)
    for _ in range(3):
        with pytest.raises(OperationalError):
            heart.step()
    said = "commits wait for a synchronous standby, for 12 s by now"
    assert [said in record.message for record in caplog.records] == [True]
    monkeypatch.setattr(heartbeat_module, "beat", beat)
    heart.step()
    assert heart.last_ok == boot.now


def test_a_beat_brings_what_a_person_asks_and_says_what_the_node_does(row: Node, boot: BootClock) -> None:
    heart = made(row)
    heart.step()
    assert heart.wish == ""
    drain_node(row.id)
    heart.step()
    assert heart.wish == "drain"
    heart.draining = True
    heart.step()
    row.refresh_from_db()
    assert row.state == "draining"
    heart.draining = False
    heart.step()
    row.refresh_from_db()
    assert row.state == "active"


def test_a_node_that_was_declared_dead_learns_it_at_its_next_beat(row: Node, boot: BootClock) -> None:
    Node.objects.update(state="dead")
    renewed: list[int] = []
    heart = made(row, renewed)
    boot.now += 2
    heart.step()
    assert heart.declared_dead
    assert (heart.lease_left, renewed) == (-2, [])


def test_lease_of_the_registration_lets_nothing_begin_before_the_first_beat(row: Node, boot: BootClock) -> None:
    # The answer to the registration may have taken longer than the lease that it wrote.
    heart = made(row)
    assert heart.lease_left < heart.margin
    assert heart.sure_until < boot.now
    heart.step()
    assert heart.sure_until > boot.now


def test_with_a_crash_lock_starts_are_sure_for_two_beats_only(row: Node, boot: BootClock) -> None:
    locked, unlocked = made(row, TIMERS_CRASH_LOCK=True), made(row)
    locked.step()
    assert locked.sure_until == 1004
    # Without: up to the margin before the lease's end, at which the node falls silent.
    unlocked.step()
    assert unlocked.sure_until == 1000 + 10 - 2.5


def test_a_node_is_steady_while_its_beats_come(row: Node, boot: BootClock) -> None:
    heart = made(row)
    heart.step()
    assert heart.steady
    boot.now += 2
    heart.step()
    assert heart.steady
    # The next one is missing: whoever cannot beat may not judge others.
    boot.now += 3.1
    assert not heart.steady


def test_after_a_fault_a_node_must_beat_for_a_whole_lease_before_it_judges(
    row: Node, boot: BootClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    heart = made(row)
    with monkeypatch.context() as patch:
        patch.setattr(heartbeat_module, "beat", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            heart.step()
    assert not heart.steady
    for _ in range(5):
        heart.step()
        assert not heart.steady
        boot.now += 2
    heart.step()
    assert heart.steady


def test_a_beat_that_took_long_counts_like_a_fault(row: Node, boot: BootClock, monkeypatch: pytest.MonkeyPatch) -> None:
    heart = made(row)

    def slow(*args: object) -> object:
        boot.now += 2.5
        return beat(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(heartbeat_module, "beat", slow)
        heart.step()
    # What it knows of its lease counts from before the statement was sent.
    assert heart.last_ok == 1000
    assert not heart.steady


def test_the_clock_offset_is_measured_and_told_with_the_next_beat(
    row: Node, boot: BootClock, monkeypatch: pytest.MonkeyPatch, time: VirtualTime
) -> None:
    heart = made(row)
    monkeypatch.setattr("timers.worker.heartbeat.time.time", lambda: time.now.timestamp() + 1.5)
    heart.step()
    heart.step()
    row.refresh_from_db()
    assert row.clock_offset == pytest.approx(1.5)


def test_node_starts_without_a_first_reading_when_the_database_is_unavailable(
    row: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable() -> None:
        raise OperationalError("the server closed the connection")

    heartbeat = made(row)
    monkeypatch.setattr("timers.worker.heartbeat.read", unavailable)
    monkeypatch.setattr("timers.worker.heartbeat.connection", SimpleNamespace(close=lambda: None))
    heartbeat.look_at_clock()
    assert heartbeat.clock_watch.last_reading is None
