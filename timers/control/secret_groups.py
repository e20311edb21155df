"""Secrets and their groups: what happens to a grant when a group is created, and when it is deleted."""

from __future__ import annotations

from typing import Final

from timers.database import connection
from timers.models import Secret, TimerGroup

# Applies to secrets that name the group but do not know its id yet.
_KEEP_PROMISE: Final = """
UPDATE timers_secret SET group_ids[array_position(groups, %(name)s)] = %(id)s
WHERE id = ANY(ARRAY(
    SELECT id FROM timers_secret WHERE %(name)s = ANY(groups) AND group_ids[array_position(groups, %(name)s)] = 0
    ORDER BY name FOR NO KEY UPDATE))
"""


def grant_promised(group: TimerGroup) -> None:
    """Grant a new group the secrets that were reserved for the first group of its name."""
    with connection.cursor() as cursor:
        cursor.execute(_KEEP_PROMISE, {"name": group.name, "id": group.id})


def forget_deleted(group: TimerGroup) -> None:
    """Remove a deleted group's name from its secrets: another group of the same name must not use them.

    The group's id is kept, so a secret that was for this group only is for no group from now on.
    """
    for row in Secret.objects.filter(group_ids__contains=[group.id]).order_by("name").select_for_update(no_key=True):
        place = row.group_ids.index(group.id)
        if place < len(row.groups):
            del row.groups[place], row.group_ids[place]
            row.group_ids.append(group.id)
            row.save(update_fields=["groups", "group_ids"])
