"""Public API: inspect and control the nodes of the cluster from Python.

    from timers.cluster import drain_node, hand_over, nodes

    drain_node("node-a", reason="new disk", actor="olga")
    hand_over("default", to="node-b", actor="olga")

Each call is its own transaction, or joins the caller's. An invalid argument raises InvalidRequest, a missing object
TimerNotFound, an operation that its state does not allow NotAllowedNow (all in `timers.exceptions`).
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
    """Return the live nodes of all partitions and those that ended recently, ordered by name."""
    return list(newest_nodes(clock.now()))


def node(of: int | str) -> NodeView | None:
    """Return a node by its id or its name; None if it does not exist.

    For a name, the live incarnation is returned, or the one that ended last if none is live.
    """
    return _node(of, clock.now())


def leaderships() -> list[LeadershipView]:
    """Return the leadership of each partition that needs a leader, ordered by partition name."""
    return list(_leaderships(clock.now()))


def leadership(partition: str = "default") -> LeadershipView | None:
    """Return the leadership of a partition; None if nothing in it needs a leader."""
    return next((each for each in leaderships() if each.partition == partition), None)
