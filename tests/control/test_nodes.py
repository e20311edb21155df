from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import factories
from tests.support.sessions import in_threads
from timers.control.nodes import activate_node, drain_node, forget_node, stop_node
from timers.engine.nodes import Beat, Renewed, beat
from timers.exceptions import NotAllowedNow, TimerNotFound
from timers.insights.cluster import cluster
from timers.insights.node_view import node
from timers.models import AuditEntry, ClusterEvent, Leadership, Node
from timers.testing import START, VirtualTime

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


def test_of_two_live_nodes_of_one_name_one_is_asked_by_its_id(time: VirtualTime) -> None:
    first, second = (factories.node("node-a", pid=number, host="machine-1") for number in (1, 2))
    with pytest.raises(NotAllowedNow) as refused:
        drain_node("node-a")
    assert str(refused.value) == (
        f"node: 2 live nodes are named node-a. Give the id of one: {first.id} (pid 1 on machine-1),"
        f" {second.id} (pid 2 on machine-1)."
    )
    drain_node(second.id)
    assert [wish(row) for row in (first, second)] == ["", "drain"]
    Node.objects.filter(id=first.id).update(state="dead")
    activate_node("node-a")
    assert wish(second) == ""


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
def test_stop_cannot_be_undone(time: VirtualTime, ask: Callable[..., Node]) -> None:
    factories.node("node-a")
    stop_node("node-a")
    with pytest.raises(NotAllowedNow, match="is stopping"):
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


def test_of_many_who_forget_a_node_at_once_one_does(committed: None, time: VirtualTime) -> None:
    row = factories.node("node-a", state="dead", ended_at=time.now)
    answers = in_threads(4, lambda _: forget_node(row.id))
    assert [each for each in answers if each == 1] == [1]
    assert sum(isinstance(each, TimerNotFound) for each in answers) == 3
    assert [kind for kind, _, _ in events()] == ["node forgotten"]
