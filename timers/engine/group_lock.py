"""Group lock: a fire is decided by its group as it is at that moment, whoever changes the group meanwhile.

Who changes what fires depend on (a pause, policies, the action, calendars, subscriptions) locks the group's row FOR
UPDATE and gives it a new version. A fire or claim that has begun before holds the row, and so is waited for; one that
begins later, knowing the group by an older version, takes nothing. What only the leader of a partition may fire locks
the leadership in the same way (see leadership.py). Who locks timers and then creates others in their groups holds the
groups first: who changes a group waits for its timers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.db import connection
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from timers.engine.arrays import plain_array
from timers.engine.execution import Leading, ServedGroup

_AS_KNOWN: Final = "%s = (SELECT version FROM timers_timer_group WHERE id = %s FOR KEY SHARE SKIP LOCKED)"
_LEADS: Final = (
    "%s = (SELECT epoch FROM timers_leadership WHERE partition = %s AND node_id = %s FOR KEY SHARE SKIP LOCKED)"
)

HOLD_GROUPS: Final = (
    "SELECT id FROM timers_timer_group WHERE id = ANY(%(groups)s::bigint[]) ORDER BY name FOR KEY SHARE"
)
"""SQL: hold groups as new timers do, which refer to them, before their timers are locked: the order of all locks."""


def hold_groups(ids: Iterable[int]) -> None:
    """Hold groups as new timers do, to the transaction's end; waits for changes of them that are under way."""
    with connection.cursor() as cursor:
        cursor.execute(HOLD_GROUPS, {"groups": plain_array(sorted(ids))})


def hold_group(name: str) -> None:
    """Hold the group of that name in the same way, if there is one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM timers_timer_group WHERE name = %s FOR KEY SHARE", (name,))


def is_served_as_known(group: ServedGroup, leading: Leading | None = None) -> RawSQL:
    """In a query, a condition of the whole of it: the group is as it was read, and stays so to the transaction's end.

    It is looked at once for the query. False also while somebody changes the group: what is due waits for that.

    Args:
        leading: the leadership that must still be the present one, and stays so to the transaction's end as well; None:
            the group is served by all.
    """
    condition, values = _AS_KNOWN, list[Any]([group.version, group.id])
    if leading is not None:
        condition = f"{_LEADS} AND {_AS_KNOWN}"
        values = [leading.epoch, leading.partition, leading.node_id, *values]
    return RawSQL(condition, values, output_field=BooleanField())  # noqa: S611 - constants; values are parameters


def has_changed(group: ServedGroup) -> bool:
    """Whether the group has another version than it was read with, as far as that is committed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT version FROM timers_timer_group WHERE id = %s", (group.id,))
        return bool(cursor.fetchone() != (group.version,))
