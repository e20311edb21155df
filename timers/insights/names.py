"""Problems with starts and names of nodes: refused starts, nodes that share a name, machines that share a host name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from timers.insights.concern import Concern
from timers.insights.node_view import NodeView
from timers.models import ClusterEvent
from timers.models.cluster_event import NODE_REFUSED

SHOWN_FOR: Final = timedelta(minutes=15)
"""How long a refused start is shown; repeated attempts are recorded again before that."""
SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class RefusedStart:
    """A node whose start was refused because of its mode."""

    at: datetime
    node: str
    detail: str
    """Where it was started, and why it was refused."""


def refused_starts(now: datetime) -> tuple[RefusedStart, ...]:
    """Return the latest refused starts, the last of each node and reason."""
    events = ClusterEvent.objects.filter(kind=NODE_REFUSED, at__gt=now - SHOWN_FOR).order_by("-id")[: 5 * SHOWN]
    found: dict[tuple[str, str], RefusedStart] = {}
    for event in events:
        found.setdefault((event.node, event.detail), RefusedStart(event.at, event.node, event.detail))
    return tuple(found.values())[:SHOWN]


def name_concerns(nodes: Iterable[NodeView], refused: Sequence[RefusedStart]) -> list[Concern]:
    """Return concerns for refused starts, for nodes that share a name, and for machines that share a host name."""
    found = [
        Concern(
            "attention", f"A start of node {each.node} was refused at {each.at:%H:%M:%S} UTC {each.detail.rstrip('.')}."
        )
        for each in refused
    ]
    by_name: dict[str, list[NodeView]] = {}
    for node in nodes:
        if node.alive and node.shares_name:
            by_name.setdefault(node.name, []).append(node)
    for name, same in sorted(by_name.items()):
        if len(same) > 1:
            places = ", ".join(f"node {each.id} (pid {each.pid} on {each.host})" for each in same)
            text = f"{len(same)} live nodes are named {name}: {places}."
            found.append(
                Concern("attention", f"{text} Drain and stop them by their ids, or name them apart by --name.")
            )
    by_host: dict[str, dict[str, list[str]]] = {}
    for node in nodes:
        if node.alive and node.machine:
            by_host.setdefault(node.host, {}).setdefault(node.machine, []).append(node.name)
    for host, machines in sorted(by_host.items()):
        if len(machines) > 1:
            names = ", ".join(name for same in machines.values() for name in same)
            text = f"{len(machines)} machines are named {host}: nodes {names} run on different ones."
            found.append(Concern("attention", f"{text} Name the machines apart, and the nodes by --name."))
    return found
