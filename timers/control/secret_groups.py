"""Secrets and the groups they are for: what becomes of a grant when a group is made, and when it is deleted."""

from __future__ import annotations

from typing import Final

from django.db import connection

from timers.models import Secret, TimerGroup

# Where a secret names the group but knows no identity yet.
_KEEP_PROMISE: Final = """
UPDATE timers_secret SET group_ids[array_position(groups, %(name)s)] = %(id)s
WHERE %(name)s = ANY(groups) AND group_ids[array_position(groups, %(name)s)] = 0
"""


def grant_promised(group: TimerGroup) -> None:
    """Let a new group use the secrets that were kept for the first group of its name."""
    with connection.cursor() as cursor:
        cursor.execute(_KEEP_PROMISE, {"name": group.name, "id": group.id})


def forget_deleted(group: TimerGroup) -> None:
    """Take a group's name off the secrets it may use: another group of that name is not the one they are for.

    Its identity stays, so a secret that was for this group alone is for none from now on.
    """
    for row in Secret.objects.filter(group_ids__contains=[group.id]).order_by("id").select_for_update(no_key=True):
        place = row.group_ids.index(group.id)
        if place < len(row.groups):
            del row.groups[place], row.group_ids[place]
            row.group_ids.append(group.id)
            row.save(update_fields=["groups", "group_ids"])
