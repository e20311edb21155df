"""Prune: drop old history. Leaderless: every node attempts it, one does it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Exists, OuterRef

from timers import clock
from timers.conf import Conf
from timers.database import connection, transaction
from timers.engine import partitions
from timers.engine.idempotency import forget_answers
from timers.engine.one_at_a_time import one_at_a_time
from timers.engine.orders.pruning import prune_orders
from timers.engine.rate_states import prune_states
from timers.models import BulkOperation, Claim, ClusterEvent, Leadership, Node, StatsMinute
from timers.security.api_keys.store import prune_keys

AUDIT_STEP: Final = 10_000
"""Number of audit entries deleted at once."""
AUDIT_SECONDS: Final = 2.0
"""Seconds after which the rest is left to the next pass."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """Result of one pass."""

    created: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    rows: int = 0


def prune(settings: Conf) -> Pruned | None:
    """Create the ledger's partitions ahead and drop history past retention; return None when another node does it."""
    now = clock.now()
    created = partitions.create_ahead(now.date(), settings.partitions_ahead)
    with one_at_a_time("timers prune") as mine:
        if not mine:
            return None
        # Each step in its own transaction: a drop locks the whole ledger, so nothing slow may share its transaction.
        dropped = partitions.drop_before(now.date(), settings.retention)
        old = now - timedelta(days=settings.retention)
        rows = partitions.delete_stragglers(now.date(), settings.retention)
        rows += StatsMinute.objects.filter(minute__lt=old).delete()[0]
        rows += ClusterEvent.objects.filter(at__lt=old).delete()[0]
        rows += prune_keys(old)
        rows += forget_answers()
        rows += prune_states(now - timedelta(days=1))
        rows += BulkOperation.objects.filter(ended_at__lt=old).delete()[0]
        rows += prune_orders(old)
        rows += _prune_audit(now - timedelta(days=settings.audit_retention))
        rows += _prune_nodes(now - timedelta(days=settings.node_retention))
    return Pruned(tuple(created), tuple(dropped), rows)


def _prune_nodes(old: datetime) -> int:
    """Delete nodes that ended before `old`, except those whose rows are still needed.

    A stopped node that keeps the leadership of its partition is named there as its leader, and a node with claims must
    be rescued first; forget_node refuses both as well.
    """
    leads = Leadership.objects.filter(node_id=OuterRef("id"))
    holds = Claim.objects.filter(node_id=OuterRef("id"))
    ended = Node.objects.exclude(state__in=Node.LIVE).filter(ended_at__lt=old)
    unused = ended.filter(~Exists(leads), ~Exists(holds)).order_by("id")
    with transaction.atomic():
        # In the order of forget_node; what that has locked is left to it.
        ids = list(unused.select_for_update(skip_locked=True).values_list("id", flat=True))
        return int(Node.objects.filter(id__in=ids).delete()[0])


def _prune_audit(old: datetime) -> int:
    """Delete entries from before `old`, in small steps: a pass delays other housekeeping."""
    rows, began = 0, time.monotonic()
    while True:
        deleted = _delete_entries(old)
        rows += deleted
        if deleted < AUDIT_STEP or time.monotonic() - began >= AUDIT_SECONDS:
            return rows


def _delete_entries(old: datetime) -> int:
    """Delete a batch of entries; the database allows it only under the setting timers.prunes_audit."""
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
