"""Group lock: a fire is decided by its group as it is at that moment, whoever changes the group meanwhile.

Who changes what fires depend on (a pause, policies, the action, calendars, subscriptions) locks the group's row FOR
UPDATE and gives it a new version. A fire or claim that has begun before holds the row, and so is waited for; one that
begins later, knowing the group by an older version, takes nothing.
"""

from __future__ import annotations

from django.db import connection
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from timers.lifecycle.execution import ServedGroup


def is_served_as_known(group: ServedGroup) -> RawSQL:
    """In a query, a condition of the whole of it: the group is as it was read, and stays so to the transaction's end.

    It is looked at once for the query. False also while somebody changes the group: what is due waits for that.
    """
    return RawSQL(
        "%s = (SELECT version FROM timers_timer_group WHERE id = %s FOR KEY SHARE SKIP LOCKED)",
        (group.version, group.id),
        output_field=BooleanField(),
    )


def has_changed(group: ServedGroup) -> bool:
    """Whether the group has another version than it was read with, as far as that is committed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT version FROM timers_timer_group WHERE id = %s", (group.id,))
        return bool(cursor.fetchone() != (group.version,))
