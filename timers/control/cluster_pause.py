"""Pause and resume the whole cluster, or one of its partitions."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import partial
from typing import Final

from timers import clock
from timers.control.audit import audited
from timers.control.call_back import call_back_groups
from timers.control.names import by_whom, check_name, check_text
from timers.control.renew_groups import renew_groups
from timers.database import connection, transaction
from timers.engine.events import record
from timers.engine.wakeup import wake_if_soon
from timers.exceptions import TimerNotFound
from timers.models import Claim, ClusterPause, Node, TimerGroup
from timers.models.cluster_pause import EVERYWHERE

_PAUSE: Final = """
INSERT INTO timers_cluster_pause (partition, at, by, reason) VALUES (%s, %s, %s, %s) ON CONFLICT (partition) DO NOTHING
"""


def pause_cluster(*, reason: str = "", actor: str = "") -> ClusterPause:
    """Start nothing on any node or for any consumer until the cluster is resumed; running executions continue.

    Claimed executions that have not begun are released, as when a group is paused; the returned pause's `in_flight`
    lists those that have begun. Timers still become due, and are late. Pausing a paused cluster changes nothing.
    """
    return _pause(EVERYWHERE, reason, actor)


def resume_cluster(*, reason: str = "", actor: str = "") -> bool:
    """Resume the cluster. Missed fires follow the misfire policies. Return whether the cluster was paused.

    A partition that was paused separately stays paused.
    """
    return _resume(EVERYWHERE, reason, actor)


def pause_partition(partition: str, *, reason: str = "", actor: str = "") -> ClusterPause:
    """Start nothing of a partition's groups, on any node or for any consumer, until it is resumed.

    Executions are called back as by pause_cluster.

    Args:
        partition: name of the partition.
        reason: why, for the record.
        actor: who requests it; empty: the current actor.

    Raises:
        InvalidRequest: the name is not valid for a partition.
        TimerNotFound: the partition has neither a group nor a live node.
    """
    check_name("partition", partition)
    return _pause(partition, reason, actor)


def resume_partition(partition: str, *, reason: str = "", actor: str = "") -> bool:
    """Resume a partition. Missed fires follow the misfire policies.

    While the whole cluster is paused, its executions still do not start.

    Args:
        partition: name of the partition.
        reason: why, for the record.
        actor: who requests it; empty: the current actor.

    Returns:
        Whether the partition itself was paused.
    """
    check_name("partition", partition)
    return _resume(partition, reason, actor)


def _pause(partition: str, reason: str, actor: str) -> ClusterPause:
    check_text("reason", reason)
    kind = _kind(partition)
    with audited(f"{kind}.pause", actor, name=partition) as entry:
        if partition != EVERYWHERE and not _is_known(partition):
            raise TimerNotFound(f"partition: {partition} has neither a group nor a live node. Correct the name.")
        now = clock.now()
        row, is_new = _paused(partition, now, actor, reason)
        if not is_new:
            entry.nothing()
            return row
        renewed = renew_groups(partition)
        row.in_flight = call_back_groups(renewed)
        transaction.on_commit(partial(_call_back_late_groups, row, frozenset(renewed)))
        entry.changed("paused", False, True)
        entry.told(reason=reason)
        record(f"{kind} paused", "", _detail(partition, actor, reason), now)
        wake_if_soon([now], now)
    return row


def _paused(partition: str, at: datetime, by: str, reason: str) -> tuple[ClusterPause, bool]:
    """Return the pause of a partition, and whether this call created it."""
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_PAUSE, (partition, at, by, reason))
            is_new = cursor.rowcount == 1
        # The pause that conflicted may have been deleted by a concurrent resume.
        if (row := ClusterPause.objects.filter(partition=partition).first()) is not None:
            return row, is_new


def _call_back_late_groups(pause: ClusterPause, renewed: Collection[int]) -> None:
    """Apply the pause to groups that were created in the partition, or moved into it, while it was being paused.

    A worker that found work of such a group did not see the pause yet, and could fire once after it was committed.
    Groups that come later are found only by workers that see the pause. If this process ends before, any node's
    housekeeping does it (call_back_paused).

    Args:
        pause: the pause; executions of these groups that have begun are added to its `in_flight`.
        renewed: ids of the groups that were called back with the pause.
    """
    with transaction.atomic():
        late = renew_groups(pause.partition, besides=renewed)
        if late:
            pause.in_flight = [*pause.in_flight, *call_back_groups(late)]


def call_back_paused(claims: Collection[int]) -> list[str]:
    """Call back executions that have not begun of the groups of these claims, which are paused with their partition.

    The pause does so itself, except for groups that were added while it was being made, if the pausing process died
    before it reached them. A concurrent resume does no harm: what is called back is due again.

    Returns:
        The ids of the executions in flight.
    """
    with transaction.atomic():
        groups = set(Claim.objects.filter(id__in=claims).values_list("group_id", flat=True))
        return call_back_groups(renew_groups(only=groups))


def _resume(partition: str, reason: str, actor: str) -> bool:
    check_text("reason", reason)
    kind = _kind(partition)
    with audited(f"{kind}.resume", actor, name=partition) as entry:
        row = ClusterPause.objects.select_for_update().filter(partition=partition).first()
        if row is None:
            entry.nothing()
            return False
        now = clock.now()
        entry.changed("paused", True, False)
        entry.told(paused_since=row.at, **({"reason": reason} if reason else {}))
        row.delete()
        record(f"{kind} resumed", "", _detail(partition, actor, reason), now)
        wake_if_soon([now], now)
    return True


def _kind(partition: str) -> str:
    return "cluster" if partition == EVERYWHERE else "partition"


def _detail(partition: str, actor: str, reason: str) -> str:
    return " ".join(each for each in (partition, by_whom(actor, reason)) if each)


def _is_known(partition: str) -> bool:
    live = Node.objects.filter(partition=partition, state__in=Node.LIVE)
    return TimerGroup.objects.filter(partition=partition).exists() or live.exists()
