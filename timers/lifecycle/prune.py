"""Prune: drop old history. Leaderless: every node tries, one does it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction

from timers import clock
from timers.conf import Conf
from timers.lifecycle import partitions
from timers.lifecycle.control.keys import prune_keys
from timers.lifecycle.one_at_a_time import one_at_a_time
from timers.lifecycle.orders.pruning import prune_orders
from timers.models import BulkOperation, ClusterEvent, Node, RateState, StatsMinute

AUDIT_STEP: Final = 10_000
"""So many audit entries are deleted at once."""
AUDIT_SECONDS: Final = 2.0
"""After so long the rest of them is left to the next pass."""


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
    with one_at_a_time("timers prune") as mine:
        if not mine:
            return None
        # Each step by itself: a drop locks the whole ledger, so nothing slow may share its transaction.
        dropped = partitions.drop_before(now.date(), settings.retention)
        old = now - timedelta(days=settings.retention)
        rows = partitions.delete_stragglers(now.date(), settings.retention)
        rows += StatsMinute.objects.filter(minute__lt=old).delete()[0]
        rows += ClusterEvent.objects.filter(at__lt=old).delete()[0]
        rows += prune_keys(old)
        rows += RateState.objects.filter(tat__lt=now - timedelta(days=1)).delete()[0]
        rows += BulkOperation.objects.filter(ended_at__lt=old).delete()[0]
        rows += prune_orders(old)
        rows += _prune_audit(now - timedelta(days=settings.audit_retention))
        ended = now - timedelta(days=settings.node_retention)
        rows += Node.objects.exclude(state__in=Node.LIVE).filter(ended_at__lt=ended).delete()[0]
    return Pruned(tuple(created), tuple(dropped), rows)


def _prune_audit(old: datetime) -> int:
    """Entries from before `old`, in small steps: a pass holds up whoever else waits for housekeeping."""
    rows, began = 0, time.monotonic()
    while True:
        deleted = _delete_entries(old)
        rows += deleted
        if deleted < AUDIT_STEP or time.monotonic() - began >= AUDIT_SECONDS:
            return rows


def _delete_entries(old: datetime) -> int:
    """The only deletion of audit entries that the database lets pass: it is said to be one."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL timers.prunes_audit = 'on'")
        cursor.execute(
            "DELETE FROM timers_audit_entry"
            " WHERE id = ANY(ARRAY(SELECT id FROM timers_audit_entry WHERE at < %s ORDER BY at, id LIMIT %s))",
            (old, AUDIT_STEP),
        )
        rows = int(cursor.rowcount)
        cursor.execute("SET LOCAL timers.prunes_audit = 'off'")
    return rows
