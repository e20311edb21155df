"""The cluster: its nodes, and pauses of all of it or of a partition. For keys of all groups only."""

from __future__ import annotations

from timers_client.answers import Page, Raw
from timers_client.call import Call, encoded, path
from timers_client.calls.words import page_of, raw


def get_cluster() -> Call[Raw]:
    """Return an overview of the cluster: slots, pauses, leaders, drift among nodes, and problems."""
    return Call("GET", "/cluster", raw)


def get_nodes() -> Call[Page[Raw]]:
    """List the live nodes and those that ended recently, by name."""
    return Call("GET", "/nodes", page_of(raw))


def get_node(node: int | str) -> Call[Raw]:
    """Return one node, by its id or its name. Raises NotFound."""
    return Call("GET", path("nodes", str(node)), raw)


def drain_node(node: int | str, *, reason: str = "") -> Call[Raw]:
    """Drain a node: it takes no new work, finishes what runs, and keeps running.

    Raises NotAllowedNow if it has ended.
    """
    return _asked(node, "drain", reason)


def activate_node(node: int | str, *, reason: str = "") -> Call[Raw]:
    """Let a drained node take work again."""
    return _asked(node, "activate", reason)


def stop_node(node: int | str, *, reason: str = "") -> Call[Raw]:
    """Drain a node and end its process. This cannot be revoked."""
    return _asked(node, "stop", reason)


def forget_node(node: int | str, *, reason: str = "") -> Call[Raw]:
    """Remove a node that has ended: one incarnation by its id, or all by the name. Returns the removed node.

    Raises NotAllowedNow for a node that is alive or still has claimed executions.
    """
    return _asked(node, "forget", reason)


def pause_cluster(*, reason: str = "") -> Call[Raw]:
    """Pause the cluster: nothing starts until it is resumed. What runs continues, and is named in `in_flight`."""
    return Call("POST", "/cluster/pause", raw, encoded({"reason": reason}))


def resume_cluster(*, reason: str = "") -> Call[Raw]:
    """Resume the cluster. Fires missed in the meantime follow the misfire policies."""
    return Call("POST", "/cluster/resume", raw, encoded({"reason": reason}))


def pause_partition(partition: str, *, reason: str = "") -> Call[Raw]:
    """Pause a partition: nothing of its groups starts until it is resumed.

    Raises NotFound if it has no group and no node.
    """
    return Call("POST", path("partitions", partition, "pause"), raw, encoded({"reason": reason}))


def resume_partition(partition: str, *, reason: str = "") -> Call[Raw]:
    """Resume a partition. Fires missed in the meantime follow the misfire policies."""
    return Call("POST", path("partitions", partition, "resume"), raw, encoded({"reason": reason}))


def _asked(node: int | str, verb: str, reason: str) -> Call[Raw]:
    return Call("POST", path("nodes", str(node), verb), raw, encoded({"reason": reason}))
