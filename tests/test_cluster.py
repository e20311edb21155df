"""The public functions of timers.cluster."""

from __future__ import annotations

import pytest

from tests import factories
from timers import cluster

pytestmark = pytest.mark.django_db


def test_the_cluster_is_looked_at_and_steered_from_python() -> None:
    factories.led_pair("exclusive")
    assert [(node.name, node.leads) for node in cluster.nodes()] == [("node-a", True), ("node-b", False)]
    cluster.hand_over(to="node-b", actor="olga")
    found = cluster.leadership()
    assert found is not None and (found.node, found.epoch) == ("node-b", 2)
    assert cluster.leadership("other") is None
    cluster.drain_node("node-a")
    node = cluster.node("node-a")
    assert node is not None and node.wish == "drain"
