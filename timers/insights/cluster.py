"""The cluster: its nodes as the engine judges them, whether it is paused, and who leads."""

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
    """The pause of the whole cluster, or of a partition."""

    partition: str
    """Empty: the whole cluster."""
    at: datetime
    by: str
    reason: str

    @property
    def words(self) -> str:
        """Since when, by whom and why."""
        by, why = f" by {self.by}" if self.by else "", f": {self.reason}" if self.reason else ""
        return f"since {self.at:%Y-%m-%d %H:%M:%S} UTC{by}{why}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """All nodes: the living ones, and those that ended lately and have not come back under their name."""

    nodes: tuple[NodeView, ...]
    pause: Pause | None = None
    """While there is one, nothing starts anywhere."""
    partition_pauses: tuple[Pause, ...] = ()
    """Of partitions that are paused by themselves, by name."""
    leaderships: tuple[LeadershipView, ...] = ()
    """Of the partitions that need a leader."""
    unserved: tuple[Unserved, ...] = ()
    """Groups that no living node may claim of."""
    refused: tuple[RefusedStart, ...] = ()
    """Nodes that were not let in lately."""

    @property
    def drift(self) -> tuple[Drift, ...]:
        """What is not the same on all living nodes of a partition."""
        return drift_of(self.nodes)

    @property
    def alive(self) -> tuple[NodeView, ...]:
        """The nodes whose lease is valid."""
        return tuple(node for node in self.nodes if node.alive)

    @property
    def threads(self) -> int:
        """How many plain handlers the living nodes can run at once."""
        return sum(node.threads for node in self.nodes)

    @property
    def async_slots(self) -> int:
        """How many async handlers and HTTP calls the living nodes can run at once."""
        return sum(node.async_slots for node in self.nodes)

    @property
    def slots(self) -> int:
        """How many executions the living nodes can run at once, threads and async slots together."""
        return sum(node.slots for node in self.nodes)

    @property
    def busy_threads(self) -> int:
        """How many executions run in threads, as of the last heartbeats."""
        return sum(node.busy_threads for node in self.nodes)

    @property
    def busy_async(self) -> int:
        """How many executions run on event loops, as of the last heartbeats."""
        return sum(node.busy_async for node in self.nodes)

    @property
    def busy(self) -> int:
        """How many executions run, as of the last heartbeats."""
        return self.busy_threads + self.busy_async

    @property
    def held(self) -> int:
        """How many executions the living nodes hold."""
        return sum(node.held for node in self.nodes)

    @property
    def usage(self) -> str:
        """What runs of what could, in words."""
        return usage_words(self)


def cluster(now: datetime) -> Cluster:
    """The nodes of all partitions at `now`, by name, and whether all of it is paused."""
    pauses = [Pause(row.partition, row.at, row.by, row.reason) for row in ClusterPause.objects.order_by("partition")]
    return Cluster(
        newest_nodes(now),
        next((pause for pause in pauses if pause.partition == EVERYWHERE), None),
        tuple(pause for pause in pauses if pause.partition != EVERYWHERE),
        leaderships(now),
        unserved(now),
        refused_starts(now),
    )
