"""A step that was noticed is written down once, moves the leases along, and holds claims and rescue for a while."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from timers import conf
from timers.consuming import claim
from timers.engine.clock_step import ClockWatch, Noticed, is_held, write_step
from timers.engine.nodes import Beat, beat
from timers.models import Claim, ClockStep, ClusterEvent, Node, TimerGroup
from timers.scheduling import ensure_group, schedule_once
from timers.testing import Stepper, VirtualTime

HOUR = 3600.0
SETTINGS = conf.load({"TIMERS_CLOCK_STEP_HOLD": 90})
REPORT = Beat(0, 0, 0, 0, {})


def held() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {is_held('timers_now()')}")
        return bool(cursor.fetchone()[0])


def stepped(time: VirtualTime, seconds: float, *, elapsed: float = 2.0, by: str = "node-a") -> bool:
    """The clock steps, and a process notices it at once."""
    time.advance(seconds) if seconds > 0 else time.set(time.now + timedelta(seconds=seconds))
    return write_step(Noticed(seconds, time.now, elapsed, by), SETTINGS)


def test_a_step_is_written_down_once_whoever_else_notices_it(time: VirtualTime) -> None:
    assert stepped(time, HOUR)
    time.advance(1.5)
    assert not write_step(Noticed(HOUR + 0.2, time.now, 2.0, "node-b"), SETTINGS)
    assert [(event.kind, event.node) for event in ClusterEvent.objects.all()] == [("clock step", "node-a")]
    assert "stepped forward by 3600.0 s" in ClusterEvent.objects.get().detail


@pytest.mark.parametrize("second", [-2 * HOUR, HOUR])
def test_another_step_soon_after_is_another_step(time: VirtualTime, second: float) -> None:
    assert stepped(time, HOUR)
    time.advance(5)
    assert stepped(time, second)
    assert ClusterEvent.objects.count() == 2


def test_after_a_step_back_claims_are_held_until_all_live_nodes_have_beaten(time: VirtualTime) -> None:
    first, second = Stepper(time), Stepper(time)
    time.advance(1)
    stepped(time, -HOUR)
    assert held()
    time.advance(0.5)
    beat(first.node.id, 10, REPORT)
    assert held()
    beat(second.node.id, 10, REPORT)
    assert not held()


def test_a_node_that_never_beats_again_holds_claims_for_one_lease_at_most(time: VirtualTime) -> None:
    Stepper(time)
    time.advance(1)
    stepped(time, -HOUR)
    time.advance(9.9)
    assert held()
    time.advance(0.2)
    assert not held()


def test_after_a_step_forward_claims_are_held_for_the_setting(time: VirtualTime) -> None:
    node = Stepper(time)
    stepped(time, HOUR)
    for _ in range(8):
        time.advance(11)
        beat(node.node.id, 10, REPORT)
        assert held()
    time.advance(3)
    beat(node.node.id, 10, REPORT)
    assert not held()


def test_a_step_forward_that_is_taken_back_holds_until_the_nodes_have_beaten(time: VirtualTime) -> None:
    node = Stepper(time)
    stepped(time, HOUR)
    time.advance(60)
    stepped(time, -HOUR)
    assert held()
    time.advance(0.1)
    beat(node.node.id, 10, REPORT)
    assert not held()


def test_a_step_back_that_is_taken_back_is_trusted_at_once(time: VirtualTime) -> None:
    node = Stepper(time)
    stepped(time, -HOUR)
    time.advance(600)
    stepped(time, HOUR)
    time.advance(0.1)
    beat(node.node.id, 10, REPORT)
    assert not held()


def test_beyond_where_it_was_a_step_forward_is_not_trusted(time: VirtualTime) -> None:
    node = Stepper(time)
    stepped(time, -HOUR)
    time.advance(600)
    stepped(time, 2 * HOUR)
    beat(node.node.id, 10, REPORT)
    assert held()


def test_a_step_that_nobody_saw_taken_back_holds_nothing(time: VirtualTime) -> None:
    stepped(time, HOUR)
    time.set(time.now - timedelta(seconds=HOUR))
    assert not held()


def test_leases_of_nodes_move_along(time: VirtualTime) -> None:
    node = Stepper(time)
    time.advance(1)
    for seconds in (2 * HOUR, -3 * HOUR):
        stepped(time, seconds)
        row = Node.objects.get(id=node.node.id)
        assert row.heartbeat_at == time.now - timedelta(seconds=1)
        assert row.lease_expires_at == time.now + timedelta(seconds=9)


def test_a_heartbeat_under_the_new_clock_is_left_as_it_is(time: VirtualTime) -> None:
    node = Stepper(time)
    time.advance(1)
    time.advance(2 * HOUR)
    beat(node.node.id, 10, REPORT)
    beaten_at: datetime = time.now
    time.advance(1)
    write_step(Noticed(2 * HOUR, time.now, 2.0, "node-b"), SETTINGS)
    assert Node.objects.get(id=node.node.id).heartbeat_at == beaten_at


@pytest.fixture
def pulled(time: VirtualTime) -> Any:
    """An execution that a consumer holds for 30 s, 10 s of which are over."""
    ensure_group("pulled", action={"kind": "pull"})
    schedule_once("pulled", "one", after=0)
    (message,) = claim("pulled", "consumer", lease=30)
    time.advance(10)
    return message


@pytest.mark.parametrize("seconds", [2 * HOUR, 60, -120, -2 * HOUR])
def test_a_consumers_lease_moves_along_and_its_execution_is_shown_to_nobody_else(
    time: VirtualTime, pulled: Any, seconds: float
) -> None:
    stepped(time, seconds)
    assert Claim.objects.get().expires_at == time.now + timedelta(seconds=20)
    assert claim("pulled", "another") == []
    time.advance(19.9)
    assert claim("pulled", "another") == []


def test_while_a_step_holds_claims_consumers_get_nothing(time: VirtualTime) -> None:
    ensure_group("pulled", action={"kind": "pull"})
    schedule_once("pulled", "one", after=0)
    stepped(time, HOUR)
    assert claim("pulled", "consumer") == []
    time.advance(91)
    assert len(claim("pulled", "consumer")) == 1


def test_while_a_step_holds_claims_a_node_finds_nothing_due(group: TimerGroup, node: Stepper) -> None:
    schedule_once("work", "soon", after=10)
    stepped(node.time, HOUR)
    assert node.claim() == []
    node.time.advance(91)
    assert len(node.claim()) == 1


def test_after_a_step_back_what_has_fired_does_not_fire_again(group: TimerGroup, node: Stepper) -> None:
    from timers.scheduling import schedule_fixed_rate

    schedule_fixed_rate("work", "tick", period=60)
    ran = [outcome.execution.id for outcome in node.advance(minutes=10)]
    stepped(node.time, -300)
    node.time.advance(11)
    ran += [outcome.execution.id for outcome in node.advance(minutes=10)]
    assert len(set(ran)) == len(ran)
    instants = [int(each.replace("-", "")[:12], 16) for each in ran]
    assert instants == sorted(instants)


def test_a_step_is_noticed_again_until_it_could_be_written(time: VirtualTime, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = ClockWatch(SETTINGS, "node-a")
    assert not watch.stepped(time.now, 100.0, 100.0)
    later = time.now + timedelta(seconds=HOUR)
    with monkeypatch.context() as patch:
        patch.setattr("timers.engine.clock_step.write_step", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            watch.stepped(later, 101.0, 101.0)
    assert watch.stepped(later, 102.0, 102.0)
    assert not watch.stepped(later, 102.0, 102.0)
    assert ClockStep.objects.get().seconds == pytest.approx(HOUR, abs=3)


def test_first_reading_of_a_new_worker_is_compared_with_its_supervisors(time: VirtualTime) -> None:
    supervisor = ClockWatch(SETTINGS, "node-a")
    assert supervisor.last_reading is None
    assert not supervisor.stepped(time.now, 100.0, 100.0)
    worker = ClockWatch(SETTINGS, "node-a", supervisor.last_reading)
    assert worker.stepped(time.now + timedelta(seconds=HOUR), 101.0, 101.0)
    assert ClockStep.objects.get().seconds == pytest.approx(HOUR, abs=3)


def test_a_noticed_step_says_when_it_can_have_happened(time: VirtualTime) -> None:
    noticed = Noticed(HOUR, time.now, 2.0, "node-a")
    assert write_step(noticed, SETTINGS)
    # A process that looked less than a second ago saw the clock after that step: this is another one.
    time.advance(30)
    assert write_step(replace(noticed, at=time.now, elapsed=1.0, by="node-b"), SETTINGS)
