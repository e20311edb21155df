"""Give all groups a new version, so that every worker reads them again before it fires anything more."""

from __future__ import annotations

from django.db.models import F

from timers.models import TimerGroup


def renew_groups() -> list[int]:
    """Lock all groups, wait for fires that are under way, and give each a new version; returns their ids.

    Nothing is fired until the transaction ends, and then only by who has read the groups again.
    """
    ids = list(TimerGroup.objects.order_by("name").select_for_update().values_list("id", flat=True))
    TimerGroup.objects.filter(id__in=ids).update(version=F("version") + 1)
    return ids
