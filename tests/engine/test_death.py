from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.support.eventually import eventually
from tests.support.sessions import OtherSession
from timers.engine import nodes
from timers.engine.death import dead_with_claims, declare_dead, judge_at_start, take_crash_lock, watch_others
from timers.engine.nodes import Beat, beat, register
from timers.models import ClockStep, ClusterEvent, Node, TimerGroup
from timers.scheduling import schedule_once
from timers.testing import Stepper, VirtualTime, registration

REPORT = Beat(0, 0, 0, 0, {})
NOBODY = 2**22 - 3
"""A process id that no process has."""
NEVER = 10**9
"""Seconds: longer than any server has been up."""


def found(settled: float = 0) -> list[str]:
    return [node.name for node in watch_others(0, settled).dead]


def test_a_node_is_dead_when_its_lease_has_ended_by_the_database_clock(time: VirtualTime) -> None:
    row = register(registration("node-a"))
    time.advance(10)
    assert found() == []
    time.advance(0.000001)
    assert found() == ["node-a"]
    beat(row.id, 10, REPORT)
    assert found() == []


def test_a_node_does_not_judge_itself(time: VirtualTime) -> None:
    row = register(registration("node-a"))
    time.advance(100)
    assert watch_others(row.id, 0).dead == []


@pytest.mark.parametrize("state", ["stopped", "dead"])
def test_a_node_that_has_ended_does_not_die(time: VirtualTime, state: str) -> None:
    factories.node(state=state, beat_ago=1000)
    assert found() == []


def test_nobody_is_judged_shortly_after_the_server_came_back(time: VirtualTime) -> None:
    register(registration("node-a"))
    time.advance(100)
    assert found(settled=NEVER) == []
    assert found() == ["node-a"]


def test_the_next_look_is_when_the_oldest_beat_would_miss_its_second(time: VirtualTime) -> None:
    assert watch_others(0, 0).seconds_to_next_verdict is None
    register(registration("node-a"))
    time.advance(1.5)
    register(registration("node-b"))
    assert watch_others(0, 0).seconds_to_next_verdict == pytest.approx(2.5)


def test_a_beat_that_came_since_the_look_acquits_the_node(time: VirtualTime) -> None:
    row = register(registration("node-a"))
    time.advance(11)
    (accused,) = watch_others(0, 0).dead
    beat(row.id, 10, REPORT)
    assert not declare_dead(accused, "no heartbeat")
    row.refresh_from_db()
    assert row.state == "active"


def test_a_node_is_declared_dead_once(time: VirtualTime) -> None:
    register(registration("node-a"))
    time.advance(11)
    accused = watch_others(0, 0).dead
    assert [declare_dead(node, "gone") for node in accused + accused] == [True, False]
    assert ClusterEvent.objects.filter(kind="node died").count() == 1


def test_what_an_ended_node_still_holds_is_found_again(group: TimerGroup, node: Stepper) -> None:
    schedule_once("work", "once", after=1)
    node.time.advance(1)
    node.claim()
    assert dead_with_claims() == []
    nodes.set_stopped(node.node.id, "node-a")
    assert [row.name for row in dead_with_claims()] == ["node-a"]
    Stepper(node.time).rescue(node)
    assert dead_with_claims() == []


def test_what_a_forgotten_node_was_writing_while_it_was_forgotten_is_found_and_rescued(
    group: TimerGroup, node: Stepper
) -> None:
    schedule_once("work", "once", after=1)
    node.time.advance(1)
    node.claim()
    Node.objects.filter(id=node.node.id).delete()
    assert [(row.id, row.name) for row in dead_with_claims()] == [(node.node.id, f"number {node.node.id}")]
    Stepper(node.time).rescue(node)
    assert dead_with_claims() == []


def test_a_dead_connection_tells_of_a_crash_after_two_missing_beats_long_before_the_lease_ends(
    committed: None, time: VirtualTime
) -> None:
    row = register(registration("node-a", crash_lock=True, lease=60.0))
    with OtherSession(time.now) as session:
        assert session.run(lambda: take_crash_lock(row.id))
        time.advance(4.1)
        assert found() == []
    # Its connection is gone: the lock goes with it.
    eventually(lambda: found() == ["node-a"])


def test_one_missing_beat_proves_nothing(committed: None, time: VirtualTime) -> None:
    register(registration("node-a", crash_lock=True))
    time.advance(3.9)
    assert found() == []
    time.advance(0.2)
    assert found() == ["node-a"]


def test_without_a_crash_lock_only_the_lease_counts(time: VirtualTime) -> None:
    register(registration("node-a", crash_lock=False))
    time.advance(9)
    assert found() == []


def test_the_crash_lock_of_one_node_says_nothing_of_another(committed: None, time: VirtualTime) -> None:
    rows = [register(registration(name, crash_lock=True)) for name in ("node-a", "node-b")]
    with OtherSession(time.now) as session:
        session.run(lambda: take_crash_lock(rows[0].id))
        assert not take_crash_lock(rows[0].id)
        time.advance(5)
        assert found() == ["node-b"]
        judged = judge_at_start("elsewhere", "", 0)
        assert {each.node.name: each.is_gone for each in judged} == {"node-a": False, "node-b": True}


def test_two_nodes_of_one_name_that_start_at_the_same_moment_are_told_apart(committed: None, time: VirtualTime) -> None:
    with OtherSession(time.now) as session, OtherSession(time.now) as late:
        session.begin()
        first = session.run(lambda: register(registration("node-a")))
        answer = late.start(lambda: register(registration("node-a")))
        late.waits_for_a_lock()
        session.commit()
        assert answer.result(timeout=10).id != first.id
    assert Node.objects.filter(name="node-a", state="starting").count() == 2


def test_node_that_starts_judges_nobody_by_heartbeats_shortly_after_the_server_came_back(time: VirtualTime) -> None:
    register(registration("node-a"))
    time.advance(100)
    (judged,) = judge_at_start("elsewhere", "", NEVER)
    assert (judged.is_gone, judged.is_undecided) == (False, True)
    (judged,) = judge_at_start("elsewhere", "", 0)
    assert (judged.is_gone, judged.is_undecided) == (True, False)


def test_node_that_starts_judges_nobody_by_heartbeats_while_a_clock_step_is_held(time: VirtualTime) -> None:
    register(registration("node-a"))
    time.advance(100)
    step = ClockStep.objects.create(
        at=time.now, seconds=100, ahead=100, noticed_by="node-b", distrusted_until=time.now + timedelta(seconds=90),
        held_until=time.now + timedelta(seconds=90),
    )  # fmt: skip
    (judged,) = judge_at_start("elsewhere", "", 0)
    assert (judged.is_gone, judged.is_undecided) == (False, True)
    step.delete()
    assert judge_at_start("elsewhere", "", 0)[0].is_gone


def test_process_that_is_no_more_is_gone_whenever_the_server_came_back(time: VirtualTime) -> None:
    register(registration("node-a", pid=NOBODY, crash_lock=True, machine="one"))
    assert judge_at_start("machine-1", "one", NEVER)[0].is_gone
    assert not judge_at_start("machine-1", "two", NEVER)[0].is_gone
