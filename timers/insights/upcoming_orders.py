"""Orders of a chain that have not begun: active or pending timers, and when each order begins.

Ordered by the names of their timers. Only timers that still fire are read, a bounded number for each page.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from timers.database import connection
from timers.exceptions import TimerNotFound
from timers.insights.one_order import PENDING, SCHEDULED, next_order
from timers.models import Chain, Timer
from timers.models.rows import columns, made

UPCOMING_STATES: Final = (PENDING, SCHEDULED)
"""States of orders that have not begun, for filters."""
LOOKED_AT: Final = 20_000
"""Maximum number of timers that one page reads."""

_LIVING: Final = "SELECT * FROM timers_timer WHERE group_id = %(group_id)s AND state IN ('active', 'paused')"
_PAGE: Final = f"""
SELECT {columns(Timer, "t")} FROM (
    {_LIVING} AND (name, id) > (%(name)s, %(id)s) ORDER BY name, id LIMIT %(looked_at)s) t
WHERE t.next_fire_at IS NOT NULL AND {{matches}} ORDER BY t.name, t.id LIMIT %(limit)s
"""
_END: Final = f"""
SELECT name, id FROM ({_LIVING} AND (name, id) > (%(name)s, %(id)s)) t
ORDER BY name, id OFFSET %(looked_at)s - 1 LIMIT 1
"""
_OF_CHAIN: Final = "t.action ->> 'kind' = 'chain' AND t.action ->> 'chain' = %(chain)s"
_STATES: Final = {PENDING: "t.state = 'paused'", SCHEDULED: "t.state = 'active'"}


class Place(NamedTuple):
    """Where a page ended; the next one begins after it."""

    name: str
    id: int


@dataclass(frozen=True, slots=True)
class UpcomingOrder:
    """An order that a timer will begin; for a timer that begins orders repeatedly, the next one."""

    name: str
    """Name of the timer."""
    group: str
    chain: str
    state: str
    """pending (until it is started) or scheduled."""
    id: str | None
    """Id of the order; None: not known before it begins."""
    begins_at: datetime
    """When it begins. For a pending order: the given instant, at which it begins if it is started before."""
    repeats: bool
    """Whether the timer begins more orders after it."""
    reason: str
    """Why it is pending."""
    priority: int
    timer_id: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class UpcomingPage:
    """One page, and where the next begins; None if there is none."""

    orders: list[UpcomingOrder]
    next: Place | None


def find_upcoming_orders(
    group: str, chain: str, *, state: str | None = None, after: Place | None = None, limit: int = 50
) -> UpcomingPage:
    """Return one page of the orders of a chain that have not begun, by name.

    Args:
        group: Group of the chain.
        chain: Name of the chain.
        state: One of UPCOMING_STATES; None: both.
        after: `next` of the previous page; None: the first page.
        limit: Maximum number of orders. A page can be short and still have a next page.

    Raises:
        TimerNotFound: The group or the chain does not exist.
    """
    row = Chain.objects.filter(group__name=group, name=chain).select_related("group").first()
    if row is None:
        raise TimerNotFound(f"group {group!r} has no chain {chain!r}")
    action = row.group.action
    is_default = isinstance(action, dict) and action.get("kind") == "chain" and action.get("chain") == chain
    matches = f"({_OF_CHAIN}{' OR t.action IS NULL' if is_default else ''})"
    if state is not None:
        matches += f" AND {_STATES[state]}"
    begin = after or Place("", 0)
    params: dict[str, Any] = {
        "group_id": row.group_id, "chain": chain, "name": begin.name, "id": begin.id, "looked_at": LOOKED_AT,
        "limit": limit + 1,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_PAGE.format(matches=matches), params)
        found = [made(Timer, each) for each in cursor.fetchall()]
        if len(found) > limit:
            end: Any = (found[limit - 1].name, found[limit - 1].id)
        else:
            cursor.execute(_END, params)
            end = cursor.fetchone()
    orders = [_upcoming(timer, row) for timer in found[:limit]]
    return UpcomingPage(orders, None if end is None else Place(*end))


def _upcoming(timer: Timer, chain: Chain) -> UpcomingOrder:
    is_pending = timer.state == Timer.State.PAUSED
    assert timer.next_fire_at is not None
    return UpcomingOrder(
        name=timer.name, group=chain.group.name, chain=chain.name, state=PENDING if is_pending else SCHEDULED,
        # The begin of a pending order, which its id contains, is not known yet.
        id=None if is_pending else next_order(timer), begins_at=timer.next_fire_at,
        repeats=timer.schedule_kind != "once", reason=timer.state_reason if is_pending else "",
        priority=timer.priority, timer_id=timer.pk, created_at=timer.created_at,
    )  # fmt: skip
