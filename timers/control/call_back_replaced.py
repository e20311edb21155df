"""Call back claimed executions of timers that are about to be replaced by new timers of the same names."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from timers.control.call_back import call_back_fires
from timers.database import connection
from timers.engine.arrays import plain_array, text_array
from timers.engine.group_lock import HOLD_GROUPS
from timers.models import Timer

# Bits 18 to 61 of an execution id are the timer's id. One-shots are finished from their fire on, which may be ahead.
_UNDER_WAY: Final = f"""
WITH under_way AS (
    SELECT DISTINCT (('x' || right(replace(e.id::text, '-', ''), 16))::bit(64)::bigint >> 18) & {(1 << 44) - 1} AS timer
    FROM timers_claim c, unnest(c.executions) AS e(id) WHERE c.group_id = ANY(%(groups)s::bigint[])
    UNION
    SELECT w.timer_id FROM timers_waiting w
    WHERE w.group_id = ANY(%(groups)s::bigint[]) AND w.state = 'ready' AND w.attempt = 0 AND w.origin = 'schedule'
)
SELECT t.id FROM under_way u JOIN timers_timer t ON t.id = u.timer
JOIN unnest(%(group_of)s::bigint[], %(names)s::text[]) AS n(group_id, name)
  ON n.group_id = t.group_id AND n.name = t.name
WHERE t.state IN ('active', 'paused', 'finished')
"""
_LOCK: Final = """
SELECT t.id FROM timers_timer t
JOIN unnest(%(group_of)s::bigint[], %(names)s::text[]) AS n(group_id, name)
  ON n.group_id = t.group_id AND n.name = t.name
WHERE t.state IN ('active', 'paused') OR t.id = ANY(%(under_way)s::bigint[])
ORDER BY t.id FOR UPDATE OF t
"""


def call_back_replaced(
    changed: Sequence[tuple[int, str]], names: Collection[tuple[int, str]]
) -> dict[tuple[int, str], list[str]]:
    """Undo fires that have not begun of timers that are being replaced; one query if there are none.

    A one-shot whose fire is undone becomes active again, and is replaced like any other timer.

    Args:
        changed: group ids and names of the timers, sorted.
        names: group ids and names of all timers that the caller locks next: all are locked at once, in the order of all
            locks.

    Returns:
        The ids of the executions in flight, by group id and name.
    """
    parameters = _parameters(changed)
    with connection.cursor() as cursor:
        cursor.execute(_UNDER_WAY, parameters)
        under_way = [timer for (timer,) in cursor.fetchall()]
    if not under_way:
        return {}
    _lock(_parameters(names), under_way)
    in_flight: dict[tuple[int, str], list[str]] = {}
    for timer in Timer.objects.filter(id__in=under_way).select_related("group").order_by("id"):
        in_flight.setdefault((timer.group_id, timer.name), []).extend(call_back_fires(timer))
    return in_flight


def _parameters(names: Collection[tuple[int, str]]) -> dict[str, str]:
    return {
        "groups": plain_array(sorted({group for group, _ in names})),
        "group_of": plain_array(group for group, _ in names),
        "names": text_array(name for _, name in names),
    }


def _lock(parameters: dict[str, str], under_way: Sequence[int]) -> None:
    """Lock groups, which new timers refer to, before timers; and timers by ascending id, the order of all locks."""
    with connection.cursor() as cursor:
        cursor.execute(HOLD_GROUPS, parameters)
        cursor.execute(_LOCK, {**parameters, "under_way": plain_array(under_way)})
