"""Queries of the next fires, and of one timer by name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from timers.database import connection
from timers.domain.payload import readable
from timers.insights.counts import NOT_PULLED
from timers.models.cluster_pause import is_paused
from timers.models.due_index import IN_PART, PARTS
from timers.models.schedule_words import schedule_words


@dataclass(frozen=True, slots=True)
class TimerView:
    """One timer in a list."""

    id: int
    group_id: int
    group: str
    name: str
    state: str
    schedule: str
    """Description of the schedule."""
    time_zone: str
    next_fire_at: datetime | None
    last_fire_at: datetime | None
    last_outcome: str
    fire_count: int
    failures_in_a_row: int


class Position(NamedTuple):
    """Where a page of next fires ended; the next page begins after it."""

    next_fire_at: datetime
    timer_id: int


_COLUMNS: Final = """t.id, t.group_id, g.name, t.name, t.state, t.schedule_kind, t.schedule::text, t.time_zone,
       t.next_fire_at, t.last_fire_at, t.last_outcome, t.fire_count, t.failures_in_a_row"""

# Reads the first timers of each part of the due index and merges them.
_SOONEST: Final = f"""
SELECT {_COLUMNS}
FROM timers_timer_group g, {PARTS}, LATERAL (
    SELECT * FROM timers_timer t
    WHERE {IN_PART} AND t.next_fire_at IS NOT NULL {{after}}
    ORDER BY t.next_fire_at{{tie}} LIMIT %(limit)s) t
WHERE g.state = 'active' {{group}}
ORDER BY t.next_fire_at, t.id LIMIT %(limit)s
"""
_NO_SANDBOX: Final = "AND NOT g.sandbox"
_NOT_PAUSED: Final = f"AND NOT {is_paused('g.partition')}"
# A due timer of a pull group waits for its consumers as long as they like: it has no next fire.
_STILL_TO_COME: Final = (
    f"AND t.next_fire_at > CASE WHEN {NOT_PULLED} THEN '-infinity'::timestamptz ELSE timers_now() END"
)
_ONE: Final = f"""
SELECT {_COLUMNS} FROM timers_timer t JOIN timers_timer_group g ON g.id = t.group_id
WHERE g.name = %(group)s AND t.name = %(name)s
"""


def soonest(limit: int = 10) -> list[TimerView]:
    """Return the timers that fire next, except paused ones, those of sandboxes, and those that consumers can pull now.

    If very many share one instant, any of them may be returned: sorting would require reading all.
    """
    return _asked(_SOONEST.format(after=_STILL_TO_COME, tie="", group=f"{_NO_SANDBOX} {_NOT_PAUSED}"), {"limit": limit})


def next_fires(*, group: str | None = None, after: Position | None = None, limit: int = 50) -> list[TimerView]:
    """Return a page of timers ordered by their next fire, of all active groups except sandboxes, or of one group."""
    statement = _SOONEST.format(
        after="" if after is None else "AND (t.next_fire_at, t.id) > (%(instant)s, %(timer_id)s)",
        tie=", t.id",
        group=_NO_SANDBOX if group is None else "AND g.name = %(group)s",
    )
    params: dict[str, Any] = {"limit": limit, "group": group}
    if after is not None:
        params |= {"instant": after.next_fire_at, "timer_id": after.timer_id}
    return _asked(statement, params)


def timer(group: str, name: str) -> TimerView | None:
    """Return the timer with that name, or None."""
    found = _asked(_ONE, {"group": group, "name": name})
    return found[0] if found else None


def _asked(statement: str, params: dict[str, Any]) -> list[TimerView]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return [_view(row) for row in cursor.fetchall()]


def _view(row: tuple[Any, ...]) -> TimerView:
    timer_id, group_id, group, name, state, kind, spec, time_zone, *rest = row
    return TimerView(
        timer_id, group_id, group, name, state, schedule_words(kind, readable(spec), time_zone), time_zone, *rest
    )
