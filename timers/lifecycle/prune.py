"""Prune: drop old history. Leaderless: every node tries, one does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection

from timers import clock
from timers.conf import Conf
from timers.lifecycle import partitions
from timers.models import ClusterEvent, Node, StatsMinute


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one pass did."""

    created: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    rows: int = 0


def prune(settings: Conf) -> Pruned | None:
    """Create the ledger's partitions ahead and drop what is past retention; None when another node is at it."""
    now = clock.now()
    created = partitions.create_ahead(now.date(), settings.partitions_ahead)
    with _one_at_a_time() as mine:
        if not mine:
            return None
        # Each step by itself: a drop locks the whole ledger, so nothing slow may share its transaction.
        dropped = partitions.drop_before(now.date(), settings.retention)
        old = now - timedelta(days=settings.retention)
        rows = partitions.delete_stragglers(now.date(), settings.retention)
        rows += StatsMinute.objects.filter(minute__lt=old).delete()[0]
        rows += ClusterEvent.objects.filter(at__lt=old).delete()[0]
        ended = now - timedelta(days=settings.node_retention)
        rows += Node.objects.exclude(state__in=Node.LIVE).filter(ended_at__lt=ended).delete()[0]
    return Pruned(tuple(created), tuple(dropped), rows)


@contextmanager
def _one_at_a_time() -> Iterator[bool]:
    """Hold the session lock of housekeeping; gives False when another node has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext('timers prune'))")
        (mine,) = cursor.fetchone()
        try:
            yield mine
        finally:
            if mine:
                cursor.execute("SELECT pg_advisory_unlock(hashtext('timers prune'))")
