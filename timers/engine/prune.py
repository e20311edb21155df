"""Prune: drop old history. Leaderless: every node tries, one does it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from timers import clock
from timers.conf import Conf
from timers.engine import partitions
from timers.engine.one_at_a_time import one_at_a_time
from timers.engine.orders.pruning import prune_orders
from timers.engine.rate_states import prune_states
from timers.models import BulkOperation, Claim, ClusterEvent, Leadership, Node, StatsMinute
from timers.security.api_keys.store import prune_keys

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
        rows += prune_states(now - timedelta(days=1))
        rows += BulkOperation.objects.filter(ended_at__lt=old).delete()[0]
        rows += prune_orders(old)
        rows += _prune_audit(now - timedelta(days=settings.audit_retention))
        rows += _prune_nodes(now - timedelta(days=settings.node_retention))
    return Pruned(tuple(created), tuple(dropped), rows)


def _prune_nodes(old: datetime) -> int:
    """Nodes that ended before `old`, except for what is told by their rows still.

    One that stopped and held the lead of its partition is named there as its leader, and one that holds claims is to
    be rescued first; forget_node refuses both as well.
    """
    leads = Leadership.objects.filter(node_id=OuterRef("id"))
    holds = Claim.objects.filter(node_id=OuterRef("id"))
    ended = Node.objects.exclude(state__in=Node.LIVE).filter(ended_at__lt=old)
    return int(ended.filter(~Exists(leads), ~Exists(holds)).delete()[0])


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
