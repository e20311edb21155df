"""Cluster events: one row for each event of a node."""

from __future__ import annotations

from datetime import datetime

from timers.models import ClusterEvent


def record(kind: str, node: str, detail: str, at: datetime) -> None:
    """Write one event."""
    ClusterEvent.objects.create(at=at, kind=kind, node=node, detail=detail)
