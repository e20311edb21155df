"""Groups that have reached their limits, with texts that explain why due timers do not fire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from timers.database import connection
from timers.domain.limits import NO_LIMITS, Limits
from timers.domain.rates import Arrivals
from timers.exceptions import InvalidRequest
from timers.insights.words import plural
from timers.models import TimerGroup
from timers.schedules.instant import to_microseconds

_STATE: Final = """
SELECT g.id, timers_now(),
       (SELECT COALESCE(sum(cardinality(executions)), 0) FROM timers_claim WHERE group_id = g.id),
       (SELECT tat FROM timers_rate_state WHERE group_id = g.id AND key = '')
FROM timers_timer_group g WHERE g.id = ANY(%s)
"""
_KEYS: Final = """
SELECT group_id, key, timers_now(), sum(claimed)::bigint, max(tat) FROM (
    SELECT group_id, limit_key AS key, cardinality(executions) AS claimed, NULL::timestamptz AS tat
    FROM timers_claim WHERE group_id = ANY(%(groups)s) AND limit_key IS NOT NULL
    UNION ALL
    SELECT group_id, substr(key, 2), 0, tat
    FROM timers_rate_state WHERE group_id = ANY(%(groups)s) AND key <> '' AND tat > timers_now()
) used GROUP BY group_id, key
"""


Reached = Mapping[tuple[int, str | None], str]
"""Why nothing more is claimed, by group and key; key None: all keys."""


def limits_reached(groups: Iterable[TimerGroup]) -> Reached:
    """Return why nothing more of a group, or of a key in it, is claimed now. Groups below their limits are missing.

    No statement if none of the groups has a limit; one more if a group limits by key.
    """
    limited = {group.id: (group, limits) for group in groups if (limits := _limits(group))}
    if not limited:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_STATE, (list(limited),))
        rows = cursor.fetchall()
    reached = _keys_reached({key: each for key, each in limited.items() if each[1].is_keyed})
    for group_id, now, claimed, tat in rows:
        group, limits = limited[group_id]
        why = _why(limits, group.max_batch, now, claimed, tat)
        if why:
            reached[group_id, None] = f"its group {group.name} {why}"
    return reached


def _keys_reached(keyed: Mapping[int, tuple[TimerGroup, Limits]]) -> dict[tuple[int, str | None], str]:
    if not keyed:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_KEYS, {"groups": list(keyed)})
        rows = cursor.fetchall()
    reached: dict[tuple[int, str | None], str] = {}
    for group_id, key, now, claimed, tat in rows:
        group, limits = keyed[group_id]
        of_key = Limits(limits.max_concurrency_per_key, limits.max_rate_per_key)
        why = _why(of_key, group.max_batch, now, claimed, tat) if limits.limits_key(key) else ""
        if why:
            words = f"its key {key!r}" if key else "what has no key"
            reached[group_id, key] = f"{words} in group {group.name} {why.replace(')', '_per_key)')}"
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
    except InvalidRequest:  # as the engine treats it
        return NO_LIMITS
