"""Nodes whose modes clash where one of them is gone, or seems to be."""

from __future__ import annotations

import pytest

from timers.domain.cluster_modes import NodeMode
from timers.engine import nodes
from timers.engine.death import gone_nodes
from timers.engine.nodes import Beat, beat, register
from timers.exceptions import NotAllowedNow
from timers.models import Node
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
    seen = gone_nodes("machine-1")
    beat(frozen.id, 10, Beat(0.0, 0, 0, 0, {}))
    monkeypatch.setattr(nodes, "gone_nodes", lambda host: seen)
    with pytest.raises(NotAllowedNow, match="partition default has an exclusive node, a"):
        register(registration("b", mode=NodeMode("exclusive")))
