"""Group lock: a fire uses its group as it is at that moment, even if the group is changed concurrently.

A transaction that changes what fires depend on (a pause, policies, the action, calendars, subscriptions) locks the
group's row FOR UPDATE and gives it a new version. It waits for a fire or claim that started before, which has the row
locked. One that starts later, with an older version of the group, takes nothing. Fires that need the leader of a
partition lock the leadership in the same way (see leadership.py). A transaction that locks timers and then creates
others in their groups locks the groups first, because a change of a group waits for its timers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from timers.database import connection
from timers.engine.arrays import plain_array
from timers.engine.execution import Leading, ServedGroup

_AS_KNOWN: Final = "%s = (SELECT version FROM timers_timer_group WHERE id = %s FOR KEY SHARE SKIP LOCKED)"
_LEADS: Final = (
    "%s = (SELECT epoch FROM timers_leadership WHERE partition = %s AND node_id = %s FOR KEY SHARE SKIP LOCKED)"
)

HOLD_GROUPS: Final = "SELECT id FROM timers_timer_group WHERE id = ANY(%(groups)s::bigint[]) ORDER BY id FOR KEY SHARE"
"""SQL: lock groups as new timers do through their foreign key, before locking timers, as the lock order requires."""


def hold_groups(ids: Iterable[int]) -> None:
    """Lock groups as new timers do, until the transaction ends; waits for changes of them in progress."""
    with connection.cursor() as cursor:
        cursor.execute(HOLD_GROUPS, {"groups": plain_array(sorted(ids))})


def hold_group(name: str) -> None:
    """Lock the group of that name as new timers do, if it exists."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM timers_timer_group WHERE name = %s FOR KEY SHARE", (name,))


def is_served_as_known(group: ServedGroup, leading: Leading | None = None) -> RawSQL:
    """Return a query condition: the group is as it was read, and stays so until the transaction ends.

    It is evaluated once per query. It is also false while the group is being changed: due work waits for the change.

    Args:
        group: the group.
        leading: the leadership that must still be current, and stays so until the transaction ends as well; None: all
            nodes serve the group.
    """
    condition, values = _AS_KNOWN, list[Any]([group.version, group.id])
    if leading is not None:
        condition = f"{_LEADS} AND {_AS_KNOWN}"
        values = [leading.epoch, leading.partition, leading.node_id, *values]
    return RawSQL(condition, values, output_field=BooleanField())  # noqa: S611 - constants; values are parameters


def has_changed(group: ServedGroup) -> bool:
    """Return whether the committed version of the group differs from the version that was read."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT version FROM timers_timer_group WHERE id = %s", (group.id,))
        return bool(cursor.fetchone() != (group.version,))
