"""Timers of a group by name, filtered, by page. A page reads a bounded number of timers, however many there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from timers.database import connection
from timers.models import Timer
from timers.models.rows import columns, made

LOOKED_AT: Final = 20_000
"""Maximum number of timers that one page reads; a filter that matches rarely yields short pages."""

_CONDITIONS: Final = {
    "name_contains": "strpos(t.name, %(name_contains)s) > 0",
    "kind": "t.schedule_kind = %(kind)s",
    "state": "t.state = %(state)s",
    "tag": "%(tag)s = ANY(t.tags)",
    "payload_type": "json_typeof(t.payload) = %(payload_type)s",
    "next_fire_before": "t.next_fire_at < %(next_fire_before)s",
    "next_fire_after": "t.next_fire_at > %(next_fire_after)s",
}
FILTERS: Final = frozenset(_CONDITIONS)

_PAGE: Final = f"""
SELECT {columns(Timer, "t")} FROM (
    SELECT * FROM timers_timer
    WHERE group_id = %(group_id)s AND (name, id) > (%(after_name)s, %(after_id)s)
    ORDER BY name, id LIMIT %(looked_at)s
) t {{where}} ORDER BY t.name, t.id LIMIT %(limit)s
"""
_END: Final = """
SELECT t.name, t.id FROM timers_timer t
WHERE group_id = %(group_id)s AND (name, id) > (%(after_name)s, %(after_id)s)
ORDER BY name, id OFFSET %(looked_at)s - 1 LIMIT 1
"""


class Place(NamedTuple):
    """Where a page ended; the next one begins after it. Names can be reused, so the id distinguishes two timers."""

    name: str
    id: int


@dataclass(frozen=True, slots=True)
class TimerPage:
    """One page, and where the next begins; None if there is none."""

    timers: list[Timer]
    next: Place | None


def list_timers(
    group_id: int,
    *,
    after: Place | None = None,
    limit: int = 50,
    looked_at: int = LOOKED_AT,
    filters: Mapping[str, Any] | None = None,
) -> TimerPage:
    """Return one page of a group's timers by name. `filters`: values of some of FILTERS."""
    given = filters or {}
    where = " AND ".join(_CONDITIONS[name] for name in given)
    params = {
        **given,
        "group_id": group_id,
        "after_name": after.name if after else "",
        "after_id": after.id if after else 0,
        "looked_at": looked_at if given else limit + 1,
        "limit": limit + 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(_PAGE.format(where=f"WHERE {where}" if where else ""), params)
        found = [made(Timer, row) for row in cursor.fetchall()]
    if len(found) > limit:
        return TimerPage(found[:limit], Place(found[limit - 1].name, found[limit - 1].id))
    return TimerPage(found, _end(params) if given else None)


def _end(params: dict[str, Any]) -> Place | None:
    """Return where a page ends that its rows did not fill; None if it has read all there are."""
    with connection.cursor() as cursor:
        cursor.execute(_END, params)
        row = cursor.fetchone()
    return None if row is None else Place(*row)
