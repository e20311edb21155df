"""Orders by filters, by page.

Newest first, paged by id. A page reads a bounded number of rows, however many there are: if a filter matches rarely,
the page can be short or empty and still have a next page.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from timers.database import connection
from timers.domain.chains.order import STATES as _ALL
from timers.insights.order_view import OrderView, order_views
from timers.models import Chain, Timer, TimerGroup

STATES: Final = tuple(state for state in _ALL if state not in ("pending", "claimed"))
"""States that can be listed. Orders whose step is running are among the ready ones."""
LOOKED_AT: Final = 20_000
"""Maximum number of rows that one page reads."""
_MOST_TIMERS: Final = 1_000

# The steps that have active orders of the chains: a walk along the index, one probe for each.
_STEPS: Final = """
WITH RECURSIVE at(chain_id, step) AS (
    SELECT c.id, (SELECT min(o.step) FROM timers_chain_order o WHERE o.chain_id = c.id AND o.ended_at IS NULL)
    FROM unnest(%(chains)s::bigint[]) AS c(id)
    UNION ALL
    SELECT at.chain_id, (SELECT min(o.step) FROM timers_chain_order o
                         WHERE o.chain_id = at.chain_id AND o.ended_at IS NULL AND o.step > at.step)
    FROM at WHERE at.step IS NOT NULL)
SELECT chain_id, step FROM at WHERE step IS NOT NULL
"""
# The newest rows of each key; below the last row read of any key, nothing is known about the others.
_LOOK: Final = """
WITH looked AS MATERIALIZED (
    SELECT s.number, o.id, ({matches}) AS matches
    FROM unnest(%(keys)s::bigint[], %(steps)s::text[]) WITH ORDINALITY AS s(key, step, number), LATERAL (
        SELECT o.* FROM timers_chain_order o WHERE {where} ORDER BY o.id DESC LIMIT %(look)s) o),
stop AS (
    SELECT max(e.id::text)::uuid AS id FROM (
        SELECT min(id::text) AS id FROM looked GROUP BY number HAVING count(*) >= %(look)s) e)
SELECT ARRAY(SELECT id FROM looked WHERE matches AND id >= COALESCE((SELECT id FROM stop), %(lowest)s)
             ORDER BY id DESC LIMIT %(limit)s), (SELECT id FROM stop)
"""


@dataclass(frozen=True, slots=True)
class OrderPage:
    """One page, and the `before_id` of the next; None if there is none."""

    orders: list[OrderView]
    next: UUID | None


def find_orders(
    *,
    groups: Collection[str] | None = None,
    group: str | None = None,
    chain: str | None = None,
    step: str | None = None,
    state: str | None = None,
    name: str | None = None,
    parent: UUID | str | None = None,
    branches: bool | None = None,
    before_id: UUID | None = None,
    limit: int = 50,
) -> OrderPage:
    """Return one page of the orders that meet all conditions.

    Args:
        groups: Names of the groups that the caller may see; None: all.
        group: Name of a group.
        chain: Name of a chain.
        step: Step that the orders are at; only orders that have not ended.
        state: One of STATES; `ended`: ended orders. None: all that have not ended.
        name: Name of their timers.
        parent: Order whose branches or sub-chain they are.
        branches: Whether branches and sub-chains are included; None: only if `step` or `parent` is given.
        before_id: Start below this id.
        limit: Maximum number of orders.
    """
    group_ids = _group_ids(groups, group)
    if group_ids == []:
        return OrderPage([], None)
    ids, stop = _look(
        _keys(group_ids, chain, step, state, name, parent),
        {
            "group_ids": group_ids, "chain": chain, "step": step, "state": state, "before": before_id,
            "parent": None if parent is None else str(parent),
            "whole": not (step is not None or parent is not None if branches is None else branches),
        },
        limit,
    )  # fmt: skip
    page = ids[:limit]
    return OrderPage(order_views(page), page[-1] if len(ids) > limit else stop)


def count_by_state(parent: UUID | str) -> dict[str, int]:
    """Count the branches that an order began in all its rounds, by state; ended ones by outcome."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COALESCE(outcome, state), count(*) FROM timers_chain_order WHERE parent = %s GROUP BY 1 ORDER BY 1",
            (str(parent),),
        )
        return dict(cursor.fetchall())


@dataclass(frozen=True, slots=True)
class _Keys:
    """Keys to walk, each by its own index."""

    where: str
    keys: list[int]
    steps: list[str]


def _keys(
    group_ids: list[int] | None, chain: str | None, step: str | None, state: str | None, name: str | None, parent: Any
) -> _Keys:
    if parent is not None:
        return _Keys("o.parent = %(parent)s", [0], [""])
    if name is not None:
        timers = Timer.objects.filter(name=name, group__in=_known(group_ids))
        ids = list(timers.order_by("-id").values_list("id", flat=True)[:_MOST_TIMERS])
        return _Keys("o.timer_id = s.key", ids, [""] * len(ids))
    if chain is not None and state != "ended":
        chains = list(Chain.objects.filter(name=chain, group__in=_known(group_ids)).values_list("id", flat=True))
        if step is not None:
            places = [(each, step) for each in chains]
        else:
            with connection.cursor() as cursor:
                cursor.execute(_STEPS, {"chains": chains})
                places = cursor.fetchall()
        where = "o.chain_id = s.key AND o.step = s.step AND o.ended_at IS NULL"
        return _Keys(where, [each for each, _ in places], [at for _, at in places])
    return _Keys("true", [0], [""])


def _look(by: _Keys, asked: dict[str, Any], limit: int) -> tuple[list[UUID], UUID | None]:
    if not by.keys:
        return [], None
    conditions = {
        "o.group_id = ANY(%(group_ids)s::bigint[])": asked["group_ids"] is not None,
        "EXISTS (SELECT 1 FROM timers_chain c WHERE c.id = o.chain_id AND c.name = %(chain)s)": asked["chain"],
        "o.step = %(step)s": asked["step"],
        "o.state = %(state)s": asked["state"],
        "o.ended_at IS NULL": asked["state"] != "ended",
        "o.parent IS NULL": asked["whole"],
    }
    where = by.where + (" AND o.id < %(before)s" if asked["before"] is not None else "")
    statement = _LOOK.format(
        matches=" AND ".join(each for each, given in conditions.items() if given) or "true", where=where
    )
    look = max(limit + 1, LOOKED_AT // len(by.keys))
    params = {**asked, "keys": by.keys, "steps": by.steps, "look": look, "limit": limit + 1, "lowest": UUID(int=0)}
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        ids, stop = cursor.fetchone()
    return ids, stop


def _known(group_ids: list[int] | None) -> Any:
    return TimerGroup.objects.all() if group_ids is None else TimerGroup.objects.filter(id__in=group_ids)


def _group_ids(groups: Collection[str] | None, group: str | None) -> list[int] | None:
    if group is None and groups is None:
        return None
    names = set() if groups is None else set(groups)
    wanted = names if group is None else {group} if groups is None else names & {group}
    return list(TimerGroup.objects.filter(name__in=wanted).values_list("id", flat=True)) if wanted else []
