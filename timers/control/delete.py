"""Delete a group with its timers. The ledger keeps their history."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from timers.control.audit import audited
from timers.control.executions import cancel_waiting
from timers.control.secret_groups import forget_deleted
from timers.database import connection
from timers.domain.execution_id import lower_bound
from timers.engine.idempotency import forget_answers_of
from timers.engine.orders.cancelling import delete_orders_of_group
from timers.exceptions import NotAllowedNow, TimerNotFound
from timers.models import Claim, Node, TimerGroup, Waiting
from timers.schedules.instant import to_microseconds

_DELETE_TIMERS: Final = """
DELETE FROM timers_timer
WHERE id = ANY(ARRAY(SELECT id FROM timers_timer WHERE group_id = %s ORDER BY id FOR UPDATE))
"""


def delete_group(name: str, *, force: bool = False, reason: str = "", actor: str = "") -> int:
    """Delete a group and return how many timers were deleted with it; waiting executions are cancelled.

    Args:
        name: name of the group.
        force: whether to delete a group that has timers.
        reason: why, for the ledger and the audit entry.
        actor: who requests it; empty: the current actor.

    Raises:
        TimerNotFound: there is no such group.
        NotAllowedNow: an execution of the group is claimed, or the group has timers and `force` is false.
    """
    with audited("group.delete", actor, group=name, name=name) as entry:
        group = TimerGroup.objects.select_for_update().filter(name=name).first()
        if group is None:
            raise TimerNotFound(f"there is no group {name!r}")
        if not force and group.timers.exists():
            raise NotAllowedNow(f"group {name!r} has timers; delete them first, or with it by force=true")
        with connection.cursor() as cursor:
            # Waits for concurrent fires; their claims are visible afterwards. By rising id, the order of locks.
            cursor.execute(_DELETE_TIMERS, (group.id,))
            timers = int(cursor.rowcount)
        why = reason or (f"the group was deleted by {actor}" if actor else "the group was deleted")
        delete_orders_of_group(group.id, why)
        waiting = Waiting.objects.filter(group_id=group.id)
        cancel_waiting([str(row) for row in waiting.values_list("id", flat=True)], reason=why)
        # An execution that a worker is claiming at this moment could not be cancelled: it is still waiting, or in a
        # claim by now.
        if waiting.exists() or Claim.objects.filter(group_id=group.id).exists():
            raise NotAllowedNow(f"executions of group {name!r} are claimed; try again when they have ended")
        entry.gone(group)
        entry.told(timers=timers, **({"reason": reason} if reason else {}))
        forget_deleted(group)
        forget_answers_of(group.name)
        group.delete()
    return timers


def erase_history(group_id: int, since: datetime) -> int:
    """Delete the ledger rows of a group from an instant on, and return how many.

    For measurements and rehearsals in groups of their own; no face offers it to people.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM timers_attempt WHERE group_id = %s AND id >= %s",
            (group_id, lower_bound(to_microseconds(since))),
        )
        rows = int(cursor.rowcount)
        cursor.execute("DELETE FROM timers_stats_minute WHERE group_id = %s", (group_id,))
    return rows


def erase_nodes(name_prefix: str) -> int:
    """Delete the rows of ended nodes whose names have this prefix, and return how many; for measurements only."""
    ended = Node.objects.filter(name__startswith=name_prefix).exclude(state__in=Node.LIVE)
    return int(ended.exclude(id__in=Claim.objects.filter(node__isnull=False).values("node_id")).delete()[0])
