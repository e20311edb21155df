"""Limit lock: one transaction at a time claims of a group that has limits.

It is an advisory lock of the transaction, not the group's row, which others hold for reasons of their own: creations of
timers in a group with max_timers take turns at it, and a claim that only tries for the row would never get it while
they stream in. A lock of the transaction ends with it, so it also works behind a pooler.

It is the first lock that a claim takes: before the group's row, timers, claims and waiting executions. Who holds it
waits for no row of a group, so whoever has such a row may wait for it.
"""

from __future__ import annotations

from typing import Final

from django.db import connection

LIMIT_LOCK_CLASS: Final = 0x4C494D54
"""First key of the advisory locks of groups with limits ("LIMT"); the second is a hash of the group's id."""
_TRY: Final = "SELECT pg_try_advisory_xact_lock(%s, hashint8(%s))"
_WAIT: Final = "SELECT pg_advisory_xact_lock(%s, hashint8(%s))"


def hold_limits(group_id: int, *, wait: bool) -> bool:
    """Take the limit lock of a group until the transaction (or savepoint) ends.

    Args:
        wait: wait for who has it; otherwise it is only tried.

    Returns:
        Whether it was taken.
    """
    with connection.cursor() as cursor:
        cursor.execute(_WAIT if wait else _TRY, (LIMIT_LOCK_CLASS, group_id))
        (taken,) = cursor.fetchone()
    return wait or bool(taken)
