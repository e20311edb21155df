"""The cluster: its nodes, and pauses of all of it or of a partition. For keys of all groups."""

from __future__ import annotations

from timers_client.answers import Page, Raw
from timers_client.call import Call, encoded, path
from timers_client.calls.words import page_of, raw


def get_cluster() -> Call[Raw]:
    """The cluster at a glance: its slots, what is paused, who leads, in what nodes differ, and what is wrong."""
    return Call("GET", "/cluster", raw)


def get_nodes() -> Call[Page[Raw]]:
    """The living nodes, and those that ended lately, by name."""
    return Call("GET", "/nodes", page_of(raw))


def get_node(node: int | str) -> Call[Raw]:
    """One node, by its id or its name; raises NotFound."""
    return Call("GET", path("nodes", str(node)), raw)


def drain_node(node: int | str, *, reason: str = "") -> Call[Raw]:
    """Let a node take no new work, end what it runs, and stay up; raises NotAllowedNow when it has ended."""
    return _asked(node, "drain", reason)


def activate_node(node: int | str, *, reason: str = "") -> Call[Raw]:
    """Let a drained node take work again."""
    return _asked(node, "activate", reason)


def stop_node(node: int | str, *, reason: str = "") -> Call[Raw]:
    """Drain a node and end its process; this is not called back."""
    return _asked(node, "stop", reason)


def forget_node(node: int | str, *, reason: str = "") -> Call[Raw]:
    """Remove a node that has ended: one start of it by its id, all by its name; returns what it was.

    Raises NotAllowedNow for a node that is alive or still holds executions.
    """
    return _asked(node, "forget", reason)


def pause_cluster(*, reason: str = "") -> Call[Raw]:
    """Start nothing anywhere until the cluster is resumed; what runs goes on, and is named in `in_flight`."""
    return Call("POST", "/cluster/pause", raw, encoded({"reason": reason}))


def resume_cluster(*, reason: str = "") -> Call[Raw]:
    """Start again; what was missed meanwhile follows the misfire policies."""
    return Call("POST", "/cluster/resume", raw, encoded({"reason": reason}))


def pause_partition(partition: str, *, reason: str = "") -> Call[Raw]:
    """Start nothing of a partition's groups until it is resumed; raises NotFound where it has no group and no node."""
    return Call("POST", path("partitions", partition, "pause"), raw, encoded({"reason": reason}))


def resume_partition(partition: str, *, reason: str = "") -> Call[Raw]:
    """Start again; what was missed meanwhile follows the misfire policies."""
    return Call("POST", path("partitions", partition, "resume"), raw, encoded({"reason": reason}))


def _asked(node: int | str, verb: str, reason: str) -> Call[Raw]:
    return Call("POST", path("nodes", str(node), verb), raw, encoded({"reason": reason}))
