from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from timers.exceptions import NotAllowedNow, TimerNotFound
from timers.insights import counts
from timers.insights.cluster import cluster
from timers.insights.doctor.examine import examine
from timers.insights.health import concerns, sentence
from timers.insights.node_view import node
from timers.insights.rates import rates
from timers.lifecycle.consume import claim
from timers.lifecycle.control.nodes import (
    activate_node,
    drain_node,
    forget_node,
    pause_cluster,
    resume_cluster,
    stop_node,
)
from timers.lifecycle.nodes import Beat, Renewed, beat
from timers.models import AuditEntry, ClusterEvent, ClusterPause, Leadership, Node, TimerGroup, Waiting
from timers.scheduling import fire_timer, get_timer, schedule_fixed_rate, schedule_once
from timers.testing import START, Stepper, VirtualTime

REPORT = Beat(0, 0, 0, 0, {})


def events() -> list[tuple[str, str, str]]:
    return list(ClusterEvent.objects.order_by("id").values_list("kind", "node", "detail"))


def wish(row: Node) -> str:
    renewed = beat(row.id, 10, REPORT)
    assert isinstance(renewed, Renewed)
    return renewed.wish


def test_a_wish_is_read_with_the_next_heartbeat_until_another_one_takes_its_place(time: VirtualTime) -> None:
    row = factories.node("node-a")
    assert wish(row) == ""
    drain_node("node-a", reason="new disks", actor="ann")
    assert wish(row) == "drain"
    activate_node(row.id, actor="bob")
    assert wish(row) == ""
    stop_node("node-a")
    assert wish(row) == "stop"
    assert events() == [
        ("node asked to drain", "node-a", "by ann: new disks"),
        ("node asked to take work again", "node-a", "by bob"),
        ("node asked to stop", "node-a", ""),
    ]


def test_a_wish_is_shown_with_who_has_it_and_why(time: VirtualTime) -> None:
    row = factories.node("node-a")
    drain_node("node-a", reason="new disks", actor="ann")
    (seen,) = cluster(time.now).nodes
    assert seen == node(row.id, time.now)
    assert (seen.wish, seen.wish_reason, seen.wished_by, seen.wished_at) == ("drain", "new disks", "ann", START)
    assert node(row.id + 1, time.now) is None


def test_the_same_wish_once_more_changes_nothing(time: VirtualTime) -> None:
    factories.node("node-a")
    drain_node("node-a", actor="ann")
    assert drain_node("node-a", actor="bob").wished_by == "ann"
    assert len(events()) == 1


def test_a_name_means_the_incarnation_that_lives(time: VirtualTime) -> None:
    old = factories.node("node-a", state="dead", ended_at=time.now)
    new = factories.node("node-a")
    assert drain_node("node-a") == new
    with pytest.raises(NotAllowedNow, match="node node-a is dead: its process has ended"):
        drain_node(old.id)


@pytest.mark.parametrize("ask", [drain_node, activate_node, stop_node])
def test_a_node_that_is_not_there_or_has_ended_is_asked_for_nothing(
    time: VirtualTime, ask: Callable[..., Node]
) -> None:
    factories.node("node-a", state="stopped", ended_at=time.now)
    with pytest.raises(NotAllowedNow, match="node-a is stopped"):
        ask("node-a")
    for unknown in ("node-b", 2**31 - 1):
        with pytest.raises(TimerNotFound):
            ask(unknown)


@pytest.mark.parametrize("ask", [drain_node, activate_node])
def test_a_stop_is_not_called_back(time: VirtualTime, ask: Callable[..., Node]) -> None:
    factories.node("node-a")
    stop_node("node-a")
    with pytest.raises(NotAllowedNow, match="asked to stop"):
        ask("node-a")


@pytest.mark.parametrize("state", ["stopped", "dead"])
def test_a_node_that_has_ended_is_forgotten_with_an_event(time: VirtualTime, state: str) -> None:
    row = factories.node("node-a", state=state, ended_at=time.now)
    other = factories.node("node-b", state=state, ended_at=time.now)
    assert forget_node(row.id, reason="renamed", actor="ann") == 1
    assert [each.id for each in Node.objects.all()] == [other.id]
    assert events() == [("node forgotten", "node-a", "by ann: renamed")]
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.subject_name, entry.subject_id) == ("node.forget", "node-a", str(row.id))
    assert entry.before is not None and entry.before["state"] == state
    assert entry.after == {"starts": 1, "reason": "renamed"}
    with pytest.raises(TimerNotFound):
        forget_node(row.id)


def test_a_name_means_all_starts_of_the_node_when_it_is_forgotten(time: VirtualTime) -> None:
    for _ in range(3):
        factories.node("node-a", state="dead", ended_at=time.now)
    assert forget_node("node-a") == 3
    assert cluster(time.now).nodes == ()


@pytest.mark.parametrize("state", Node.LIVE)
def test_a_live_node_is_not_forgotten(time: VirtualTime, state: str) -> None:
    factories.node("node-a", state="dead")
    row = factories.node("node-a", state=state)
    for meant in (row.id, "node-a"):
        with pytest.raises(NotAllowedNow, match=f"node node-a is {state}. Stop it first"):
            forget_node(meant)
    assert Node.objects.count() == 2
    assert events() == []


def test_a_node_that_still_holds_claims_is_not_forgotten(time: VirtualTime) -> None:
    row = factories.node("node-a", state="dead")
    factories.claim(row, factories.timer(), executions=2)
    with pytest.raises(NotAllowedNow, match="still holds 1 claim: any live node rescues"):
        forget_node("node-a")
    assert Node.objects.filter(id=row.id).exists()


def test_a_stopped_node_that_holds_the_lead_is_not_forgotten(time: VirtualTime) -> None:
    leader, _ = factories.led_pair("exclusive")
    Node.objects.filter(id=leader.id).update(state="stopped")
    Leadership.objects.update(held_precedence=0)
    with pytest.raises(NotAllowedNow, match="holds the lead of partition default: hand the lead over first"):
        forget_node(leader.id)


def test_while_the_cluster_is_paused_nothing_fires_and_no_retry_is_claimed(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_fixed_rate("work", "often", period=10)
    execution = fire_timer("work", "often")
    pause_cluster(reason="the warehouse floods", actor="ann")
    node.play(seconds=200, every=5)
    assert not handlers.calls
    assert str(Waiting.objects.get().id) == execution
    assert resume_cluster()
    node.until_idle()
    # One for what was missed, and the run that waited.
    assert len(handlers.calls) == 2
    assert get_timer("work", "often").next_fire_at == START + timedelta(seconds=210)


def test_what_a_pause_made_late_follows_the_misfire_policy(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_once("work", "once", after=10, overrides={"misfire_policy": "skip"})
    pause_cluster()
    node.play(seconds=200, every=10)
    resume_cluster()
    node.until_idle()
    assert not handlers.calls
    assert get_timer("work", "once").state == "finished"


def test_consumers_get_nothing_while_the_cluster_is_paused(time: VirtualTime) -> None:
    factories.group("pulled", action={"kind": "pull"})
    schedule_once("pulled", "once", after=1)
    time.advance(2)
    pause_cluster()
    assert claim("pulled", "ann") == []
    resume_cluster()
    assert len(claim("pulled", "ann")) == 1


def test_the_cluster_is_paused_once_and_resumed_once(time: VirtualTime) -> None:
    first = pause_cluster(reason="floods", actor="ann")
    assert pause_cluster(reason="fire", actor="bob") == first
    assert ClusterPause.objects.get().reason == "floods"
    assert resume_cluster(actor="bob")
    assert not resume_cluster()
    assert events() == [("cluster paused", "", "by ann: floods"), ("cluster resumed", "", "by bob")]


def test_a_pause_is_told_wherever_the_cluster_is_and_is_no_error(
    group: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    schedule_once("work", "once", after=1)
    pause_cluster(reason="the warehouse floods", actor="ann")
    time.advance(1000)
    factories.node("node-b")
    seen = cluster(time.now)
    words = f"since {START:%Y-%m-%d %H:%M:%S} UTC by ann: the warehouse floods"
    assert seen.pause is not None and seen.pause.words == words
    assert [concern.text for concern in concerns(seen)] == [
        f"The cluster is paused {words}. Nothing starts until resumed."
    ]
    said = sentence(seen, rates(time.now), counts.waiting(), counts.overdue(time.now), time.now)
    assert said.level == "attention"
    assert said.text.startswith(f"Paused {words}. 1 timer is overdue. 1 of 2 nodes alive;")
    found = [
        finding for finding in examine(time.now).findings if finding.check in ("cluster_concerns", "overdue_timers")
    ]
    assert [(finding.severity, finding.check) for finding in found] == [("warning", "cluster_concerns")]
