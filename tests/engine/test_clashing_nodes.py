"""Nodes whose modes clash where one of them is gone, or seems to be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests import factories
from timers.domain.cluster_modes import NodeMode
from timers.engine import nodes
from timers.engine.death import judge_at_start
from timers.engine.nodes import Beat, Undecided, beat, register
from timers.exceptions import NotAllowedNow
from timers.models import ClusterEvent, Node
from timers.testing import VirtualTime, registration


@pytest.mark.parametrize("mode", [NodeMode(), NodeMode("exclusive")])
def test_a_node_that_is_gone_clashes_with_nobody_and_does_not_come_back(mode: NodeMode, time: VirtualTime) -> None:
    """It may have been frozen past its lease, with no other node to declare it dead."""
    frozen = register(registration("a", mode=mode))
    time.advance(11)
    register(registration("b", mode=NodeMode("exclusive")))
    assert beat(frozen.id, 10, Beat(0.0, 0, 0, 0, {})) is None
    with pytest.raises(NotAllowedNow, match="--mode: "):
        register(registration("a", mode=mode))
    assert Node.objects.get(id=frozen.id).state_reason == "node b has started in its place on machine-1"


def test_a_node_that_is_gone_and_would_not_clash_is_left_to_the_judges(time: VirtualTime) -> None:
    silent = register(registration("a"))
    time.advance(11)
    register(registration("b"))
    assert beat(silent.id, 10, Beat(0.0, 0, 0, 0, {})) is not None


def test_a_node_whose_heartbeat_comes_just_now_is_not_replaced(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = register(registration("a", mode=NodeMode("exclusive")))
    time.advance(11)
    seen = judge_at_start("machine-1", "", 0)
    beat(frozen.id, 10, Beat(0.0, 0, 0, 0, {}))
    monkeypatch.setattr(nodes, "judge_at_start", lambda *_: seen)
    with pytest.raises(NotAllowedNow, match="partition default has an exclusive node, a"):
        register(registration("b", mode=NodeMode("exclusive")))


def test_name_of_a_node_does_not_excuse_its_mode(time: VirtualTime) -> None:
    register(registration("a", mode=NodeMode("exclusive")))
    with pytest.raises(NotAllowedNow, match="partition default has an exclusive node, a"):
        register(registration("a", host="machine-2", mode=NodeMode("exclusive")))


@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.django_db
def test_node_that_may_be_alive_after_a_restart_of_the_server_is_not_replaced(name: str) -> None:
    """The server has not been up for as long as the lease of the node that starts."""
    silent = factories.node("a", mode="exclusive", beat_ago=60, lease=10, state="active")
    starting = registration(name, host="machine-2", lease=10.0**9, mode=NodeMode("exclusive"))
    with pytest.raises(Undecided, match="partition default has an exclusive node, a"):
        register(starting)
    assert Node.objects.get(id=silent.id).state == "active"
    assert not ClusterEvent.objects.filter(kind="node refused").exists()
    register(replace(starting, lease=0.0))
    assert Node.objects.get(id=silent.id).state == "dead"


@pytest.mark.django_db
def test_node_that_certainly_clashes_is_refused_at_once(time: VirtualTime) -> None:
    factories.node("a", mode="exclusive", beat_ago=60, lease=10, state="active")
    factories.node("b", mode="distributed", state="active")
    with pytest.raises(NotAllowedNow) as refused:
        register(registration("c", host="machine-2", lease=10.0**9, mode=NodeMode("exclusive")))
    assert not isinstance(refused.value, Undecided)
