"""Which groups are at their limits now, in words: why their due timers do not fire yet."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from django.db import connection

from timers.domain.limits import NO_LIMITS, Limits
from timers.domain.rates import Arrivals
from timers.exceptions import SpecError
from timers.insights.words import plural
from timers.models import TimerGroup
from timers.schedules.instant import to_microseconds

_STATE: Final = """
SELECT g.id, timers_now(),
       (SELECT COALESCE(sum(cardinality(executions)), 0) FROM timers_claim WHERE group_id = g.id),
       (SELECT tat FROM timers_rate_state WHERE group_id = g.id AND key = '')
FROM timers_timer_group g WHERE g.id = ANY(%s)
"""


def limits_reached(groups: Iterable[TimerGroup]) -> dict[int, str]:
    """Return why no more of a group is claimed at present, by its id; groups below their limits are missing.

    No statement where none of the groups has a limit.
    """
    limited = {group.id: (group, limits) for group in groups if (limits := _limits(group))}
    if not limited:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_STATE, (list(limited),))
        rows = cursor.fetchall()
    reached: dict[int, str] = {}
    for group_id, now, claimed, tat in rows:
        group, limits = limited[group_id]
        why = _why(limits, group.max_batch, now, claimed, tat)
        if why:
            reached[group_id] = f"its group {group.name} {why}"
    return reached


def _why(limits: Limits, max_batch: int, now: datetime, claimed: int, tat: datetime | None) -> str:
    if limits.max_concurrency is not None and claimed >= limits.max_concurrency:
        return f"has {plural(claimed, 'execution')} claimed, the most at once (max_concurrency)"
    if limits.max_rate is not None and tat is not None:
        arrivals = Arrivals(limits.max_rate, limits.max_rate.burst(max_batch), to_microseconds(tat))
        now_us = to_microseconds(now)
        if arrivals.next_us(now_us) > now_us:
            return f"starts {limits.max_rate} at most (max_rate)"
    return ""


def _limits(group: TimerGroup) -> Limits:
    try:
        return group.limits()
    except SpecError:  # as the engine takes it
        return NO_LIMITS
