"""Cluster events: one row for each event of a node."""

from __future__ import annotations

from datetime import datetime

from timers.models import ClusterEvent


def record(kind: str, node: str, detail: str, at: datetime) -> None:
    """Write one event.

    Args:
        kind: what happened, such as "node died".
        node: name of the node; empty: of no node.
        detail: the facts, as text.
        at: when, by the database clock.
    """
    ClusterEvent.objects.create(at=at, kind=kind, node=node, detail=detail)
