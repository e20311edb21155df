"""Public: look at the nodes of the cluster and steer them, from Python.

    from timers.cluster import drain_node, hand_over, nodes

    drain_node("node-a", reason="new disk", actor="olga")
    hand_over("default", to="node-b", actor="olga")

Each call is a transaction of its own, or joins the caller's. What is invalid raises InvalidRequest, what does not exist
TimerNotFound, what cannot be done to it as it is NotAllowedNow (all in `timers.exceptions`).
"""

from __future__ import annotations

from timers import clock
from timers.control.cluster_pause import pause_cluster, pause_partition, resume_cluster, resume_partition
from timers.control.leadership import hand_over, release_lead
from timers.control.nodes import activate_node, drain_node, forget_node, stop_node
from timers.insights.leadership import LeadershipView
from timers.insights.leadership import leaderships as _leaderships
from timers.insights.node_view import NodeView, newest_nodes
from timers.insights.node_view import node as _node

__all__ = [
    "LeadershipView",
    "NodeView",
    "activate_node",
    "drain_node",
    "forget_node",
    "hand_over",
    "leadership",
    "leaderships",
    "node",
    "nodes",
    "pause_cluster",
    "pause_partition",
    "release_lead",
    "resume_cluster",
    "resume_partition",
    "stop_node",
]


def nodes() -> list[NodeView]:
    """The live nodes of all partitions, and those that ended lately, by name."""
    return list(newest_nodes(clock.now()))


def node(of: int | str) -> NodeView | None:
    """The node of an id, or the live one of a name (else the one that ended last); None: there is none."""
    return _node(of, clock.now())


def leaderships() -> list[LeadershipView]:
    """The partitions that need a leader, by name, and which node leads each of them."""
    return list(_leaderships(clock.now()))


def leadership(partition: str = "default") -> LeadershipView | None:
    """The leadership of a partition; None: nothing in it needs a leader."""
    return next((each for each in leaderships() if each.partition == partition), None)
