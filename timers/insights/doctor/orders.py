"""Checks for orders of chains that do not progress: blocked without a holder, at stopped steps, or suspended."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Final

from timers.domain.chains.steps import ActionStep
from timers.engine.group_clock import group_now
from timers.engine.orders.capacities import capacities_now, lock_scope, own_lock_scope, step_scope
from timers.engine.orders.definitions import definition_of
from timers.exceptions import TimersError
from timers.insights.counts import CAP
from timers.insights.doctor.finding import EVIDENCE, Finding, amount, rows, shown
from timers.insights.words import plural

UNBLOCKED_WITHIN: Final = 15.0
"""Seconds within which an order becomes ready when its place is free, including the rescue of a dead holder."""
LONG: Final = timedelta(days=1)
"""Time after which a stop or suspend by a person is reported."""

_READY: Final = 200
"""Number of ready orders of a group that are considered as next holders of a place."""

# Skips through the index: a million orders may wait for one place. Of each place, the first that would become ready.
# A place that is free now is normal: its next order is ready, and a worker is about to claim it. One statement, so that
# an order that moves from one state to the next meanwhile is seen in one of them.
_BLOCKED: Final = f"""
WITH RECURSIVE first AS (
    (SELECT blocked_on, id, group_id, blocked_capacity, changed_at FROM timers_waiting WHERE blocked_on IS NOT NULL
     ORDER BY blocked_on, priority DESC, available_at LIMIT 1)
    UNION ALL
    SELECT n.* FROM first f CROSS JOIN LATERAL (
        SELECT blocked_on, id, group_id, blocked_capacity, changed_at FROM timers_waiting
        WHERE blocked_on > f.blocked_on ORDER BY blocked_on, priority DESC, available_at LIMIT 1) n),
places AS (
    SELECT f.blocked_on AS place, f.id AS "order", f.group_id, f.changed_at AS since,
           COALESCE(l.capacity, f.blocked_capacity) AS capacity,
           (SELECT count(*)
            FROM timers_order_hold h JOIN timers_claim c ON c.id = h.fence AND h.order_id = ANY(c.executions)
            LEFT JOIN timers_node n ON n.id = c.node_id
            WHERE h.scope = f.blocked_on
              AND (c.consumer IS NOT NULL OR n.lease_expires_at > %(long_ago)s)) AS held
    FROM first f LEFT JOIN timers_chain_lock l ON 'lock:' || l.group_id || '/' || l.name = f.blocked_on),
free AS (
    SELECT * FROM places WHERE held < capacity AND since < %(long_ago)s ORDER BY since LIMIT {CAP + 1})
SELECT f.place, f."order", f.since, f.held, f.capacity, f.group_id, COALESCE((
    SELECT json_agg(json_build_array(o.chain_id, o.version_id, o.step))
    FROM (SELECT w.id FROM timers_waiting w JOIN timers_timer_group g ON g.id = w.group_id
          WHERE w.group_id = f.group_id AND w.state = 'ready' AND w.step IS NOT NULL
            AND w.available_at <= {group_now("%(now)s")}
          ORDER BY w.available_at LIMIT {_READY}) w
    JOIN timers_chain_order o ON o.id = w.id), '[]')::text AS ready
FROM free f ORDER BY f.since
"""


def blocked_behind_nobody(now: datetime) -> list[Finding]:
    """Report orders that wait for a lock, or for capacity at a step, although no live node holds it.

    A place counts as held until its holder's node had the time to be rescued, and as taken if a ready order is about to
    take it: at a busy lock there is always one.
    """
    places = rows(_BLOCKED, {"now": now, "long_ago": now - timedelta(seconds=UNBLOCKED_WITHIN)})
    capacities = capacities_now({row["place"]: row["capacity"] for row in places})
    found = []
    for place in places:
        row = {**place, "capacity": capacities[place["place"]]}
        if row["held"] + _about_to_take(row) < row["capacity"]:
            found.append({name: value for name, value in row.items() if name not in ("ready", "group_id")})
    if not found:
        return []
    return [
        Finding(
            "error",
            f"Orders wait for {amount(found, CAP, 'place')} at locks or limited steps whose holders no longer live.",
            "Any living node gives the places back and lets the orders go on: start one. If one lives, look for "
            "'rescue' in its log.",
            shown(found),
        )
    ]


def _about_to_take(row: dict[str, Any]) -> int:
    """Return how many ready orders need the place; if there are very many ready orders, they may all need it."""
    ready = [tuple(each) for each in json.loads(row["ready"])]
    if len(ready) >= _READY:
        return int(row["capacity"])
    return sum(number for order, number in Counter(ready).items() if _needs(row["place"], row["group_id"], *order))


def _needs(place: str, group_id: int, chain_id: int, version_id: int, name: str) -> bool:
    try:
        chain = definition_of(version_id).chain
        step = chain.steps.get(name)
    except (TimersError, LookupError, ValueError, TypeError):
        return False  # an order that cannot be read fails when it is claimed
    if not isinstance(step, ActionStep):
        return False
    if place == step_scope(chain_id, name):
        return True
    locks = {
        lock_scope(group_id, lock) if chain.locks.get(lock) is None else own_lock_scope(chain_id, lock)
        for lock in step.locks
    }
    return place in locks


# The steps that have active orders, one probe each, and the oldest orders of each.
_AT_REST: Final = f"""
WITH RECURSIVE at(chain_id, step) AS (
    SELECT c.id, (SELECT min(o.step) FROM timers_chain_order o WHERE o.chain_id = c.id AND {{which}})
    FROM timers_chain c
    UNION ALL
    SELECT at.chain_id, (SELECT min(o.step) FROM timers_chain_order o
                         WHERE o.chain_id = at.chain_id AND {{which}} AND o.step > at.step)
    FROM at WHERE at.step IS NOT NULL)
SELECT g.name AS "group", c.name AS chain, at.step, count(*) AS orders, min(o.changed_at) AS since,
       CASE WHEN c.state = 'stopped' THEN c.state_reason ELSE COALESCE(max(s.state_reason), '') END AS reason,
       min(o.reason) AS why
FROM at JOIN timers_chain c ON c.id = at.chain_id JOIN timers_timer_group g ON g.id = c.group_id
LEFT JOIN timers_chain_step s ON s.chain_id = c.id AND s.name = at.step AND s.state = 'stopped'
CROSS JOIN LATERAL (
    SELECT o.state, o.changed_at, o.reason FROM timers_chain_order o
    WHERE o.chain_id = at.chain_id AND o.step = at.step AND {{which}} ORDER BY o.id LIMIT {CAP + 1}) o
WHERE at.step IS NOT NULL AND o.state = %(state)s AND o.changed_at < %(before)s
GROUP BY g.name, c.name, c.state, c.state_reason, at.step ORDER BY since LIMIT {CAP + 1}
"""


def long_before_stopped_steps(now: datetime) -> list[Finding]:
    """Report orders that have waited at a stopped step, or in a stopped chain, for more than a day."""
    found = rows(_AT_REST.format(which="o.state = 'at_stopped'"), {"state": "at_stopped", "before": now - LONG})
    return _told(
        found, "reason", "stood before stopped steps",
        "Activate the step or start the chain (timerctl chain activate, chain start), or move or cancel the orders.",
    )  # fmt: skip


def long_suspended(now: datetime) -> list[Finding]:
    """Report orders that have been suspended for more than a day."""
    found = rows(_AT_REST.format(which="o.ended_at IS NULL"), {"state": "suspended", "before": now - LONG})
    return _told(
        found,
        "why",
        "been suspended",
        "Resume them, here or at another step, or cancel them (timerctl order resume, cancel).",
    )


def _told(found: list[dict[str, Any]], reason: str, what: str, remedy: str) -> list[Finding]:
    if not found:
        return []
    orders = sum(min(row["orders"], CAP) for row in found)
    is_capped = any(row["orders"] > CAP for row in found)
    number = (
        f"{orders:,}+ orders have" if is_capped else f"{plural(orders, 'order')} {'has' if orders == 1 else 'have'}"
    )
    evidence = tuple(
        {**{name: row[name] for name in ("group", "chain", "step", "orders", "since")}, "reason": row[reason]}
        for row in found[:EVIDENCE]
    )
    return [Finding("info", f"{number} {what} for longer than a day.", remedy, evidence)]
