"""Limit lock: one transaction at a time claims from a group with limits.

It is a transaction-level advisory lock, not the group's row. Other transactions lock the row for other reasons:
creations of timers in a group with max_timers take turns at it, and a claim that only tries to lock the row would never
get it while they keep coming. A transaction-level lock ends with the transaction, so it also works behind a pooler.

It is the first lock that a claim takes: before the group's row, timers, claims and waiting executions. A transaction
that has it waits for no row of a group, so a transaction that has such a row may wait for it.
"""

from __future__ import annotations

from typing import Final

from timers.database import connection

LIMIT_LOCK_CLASS: Final = 0x4C494D54
"""First key of the advisory locks of groups with limits ("LIMT"); the second is a hash of the group's id."""
_TRY: Final = "SELECT pg_try_advisory_xact_lock(%s, hashint8(%s))"
_WAIT: Final = "SELECT pg_advisory_xact_lock(%s, hashint8(%s))"


def hold_limits(group_id: int, *, wait: bool) -> bool:
    """Take the limit lock of a group until the transaction (or savepoint) ends.

    Args:
        group_id: the group.
        wait: wait for the lock; otherwise return at once.

    Returns:
        Whether it was taken.
    """
    with connection.cursor() as cursor:
        cursor.execute(_WAIT if wait else _TRY, (LIMIT_LOCK_CLASS, group_id))
        (taken,) = cursor.fetchone()
    return wait or bool(taken)
