"""Which groups are at their limits now, in words: why their due timers do not fire yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.db import connection

from timers.insights.words import plural
from timers.models import TimerGroup

_CLAIMED: Final = """
SELECT group_id, sum(cardinality(executions)) FROM timers_claim WHERE group_id = ANY(%s::bigint[]) GROUP BY group_id
"""


def limits_reached(groups: Iterable[TimerGroup]) -> dict[int, str]:
    """Return why no more of a group is claimed at present, by its id; groups below their limits are missing.

    No statement where none of the groups has a limit.
    """
    limited = {group.id: group for group in groups if group.limits()}
    if not limited:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_CLAIMED, (list(limited),))
        claimed = dict(cursor.fetchall())
    reached: dict[int, str] = {}
    for group in limited.values():
        most = group.max_concurrency
        if most is not None and claimed.get(group.id, 0) >= most:
            has = plural(claimed[group.id], "execution")
            reached[group.id] = f"its group {group.name} has {has} claimed, the most at once (max_concurrency)"
    return reached
