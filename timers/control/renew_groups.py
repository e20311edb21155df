"""Give all groups a new version, so that every worker reads them again before its next fire."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import F

from timers import clock
from timers.engine.wakeup import wake_if_soon
from timers.models import TimerGroup
from timers.models.cluster_pause import EVERYWHERE


def renew_groups(
    partition: str = EVERYWHERE, *, besides: Collection[int] = (), only: Collection[int] | None = None
) -> list[int]:
    """Lock all groups of a partition, wait for concurrent fires, and give each group a new version.

    Nothing fires until the transaction ends, and afterwards only workers that have read the groups again fire.

    Args:
        partition: the partition of the groups; EVERYWHERE: all.
        besides: ids of groups that are left unchanged.
        only: ids of the groups; None: all.

    Returns:
        The ids of the groups.
    """
    rows = TimerGroup.objects.all() if partition == EVERYWHERE else TimerGroup.objects.filter(partition=partition)
    if besides:
        rows = rows.exclude(id__in=besides)
    if only is not None:
        rows = rows.filter(id__in=only)
    ids = list(rows.order_by("id").select_for_update().values_list("id", flat=True))
    if not ids:
        return []
    TimerGroup.objects.filter(id__in=ids).update(version=F("version") + 1)
    wake_for_changed_groups()
    return ids


def wake_for_changed_groups() -> None:
    """Wake workers at the commit: they left work that they found due while a group was locked."""
    now = clock.now()
    wake_if_soon([now], now)
