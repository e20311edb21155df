"""Queries of the cluster: its nodes as the engine judges them, pauses, and leaders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from timers.insights.drift import Drift, drift_of
from timers.insights.leadership import LeadershipView, leaderships
from timers.insights.names import RefusedStart, refused_starts
from timers.insights.node_view import NodeView, newest_nodes, usage_words
from timers.insights.unserved import Unserved, unserved
from timers.models import ClusterPause
from timers.models.cluster_pause import EVERYWHERE


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause of the whole cluster or of a partition."""

    partition: str
    """Name of the partition; empty: the whole cluster."""
    at: datetime
    by: str
    reason: str

    @property
    def words(self) -> str:
        """Text that says since when, by whom and why."""
        by, why = f" by {self.by}" if self.by else "", f": {self.reason}" if self.reason else ""
        return f"since {self.at:%Y-%m-%d %H:%M:%S} UTC{by}{why}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """All live nodes, and nodes that ended recently and have not restarted under their name."""

    nodes: tuple[NodeView, ...]
    pause: Pause | None = None
    """Pause of the whole cluster; while there is one, nothing starts anywhere."""
    partition_pauses: tuple[Pause, ...] = ()
    """Pauses of single partitions, by name."""
    leaderships: tuple[LeadershipView, ...] = ()
    """Leaderships of the partitions that need a leader."""
    unserved: tuple[Unserved, ...] = ()
    """Groups that no live node may claim."""
    refused: tuple[RefusedStart, ...] = ()
    """Nodes whose start was refused recently."""

    @property
    def drift(self) -> tuple[Drift, ...]:
        """What differs among the live nodes of a partition."""
        return drift_of(self.nodes)

    @property
    def alive(self) -> tuple[NodeView, ...]:
        """Nodes whose lease is valid."""
        return tuple(node for node in self.nodes if node.alive)

    @property
    def threads(self) -> int:
        """Number of synchronous handlers that the live nodes can run at once."""
        return sum(node.threads for node in self.nodes)

    @property
    def async_slots(self) -> int:
        """Number of async handlers and HTTP calls that the live nodes can run at once."""
        return sum(node.async_slots for node in self.nodes)

    @property
    def slots(self) -> int:
        """Number of executions that the live nodes can run at once, in threads and async slots together."""
        return sum(node.slots for node in self.nodes)

    @property
    def busy_threads(self) -> int:
        """Number of executions running in threads, as of the last heartbeats."""
        return sum(node.busy_threads for node in self.nodes)

    @property
    def busy_async(self) -> int:
        """Number of executions running on event loops, as of the last heartbeats."""
        return sum(node.busy_async for node in self.nodes)

    @property
    def busy(self) -> int:
        """Number of running executions, as of the last heartbeats."""
        return self.busy_threads + self.busy_async

    @property
    def held(self) -> int:
        """Number of executions that the live nodes have claimed."""
        return sum(node.held for node in self.nodes)

    @property
    def usage(self) -> str:
        """Text that says how many of the slots are in use."""
        return usage_words(self)


def cluster(now: datetime) -> Cluster:
    """Return the nodes of all partitions at `now`, by name, with pauses and leaderships."""
    pauses = [Pause(row.partition, row.at, row.by, row.reason) for row in ClusterPause.objects.order_by("partition")]
    return Cluster(
        newest_nodes(now),
        next((pause for pause in pauses if pause.partition == EVERYWHERE), None),
        tuple(pause for pause in pauses if pause.partition != EVERYWHERE),
        leaderships(now),
        unserved(now),
        refused_starts(now),
    )
