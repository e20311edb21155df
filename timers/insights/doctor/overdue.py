"""Checks for timers, waiting executions and claims that are due and that nobody takes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from timers.insights.counts import CAP, NOT_PULLED
from timers.insights.doctor.finding import EVIDENCE, Finding, amount, rows, shown
from timers.insights.unserved import SERVED, WORKERS_OWN, unserved
from timers.insights.words import plural
from timers.models.cluster_pause import is_paused
from timers.models.due_index import IN_PART, PARTS

NOT_PAUSED: Final = f"NOT {is_paused('g.partition')}"
"""SQL condition: while the cluster or the partition is paused, being overdue is intended."""
RESCUE_BOUND: Final = 15.0
"""Seconds after a node's death within which other nodes have rescued its executions."""
LEAST_GRACE: Final = 10.0
"""Lower bound in seconds of a group's misfire grace here: polls and claims take time."""

_AT_LIMIT: Final = """CASE
    WHEN g.max_concurrency <= (SELECT sum(cardinality(c.executions)) FROM timers_claim c WHERE c.group_id = g.id)
    THEN 'max_concurrency'
    WHEN g.max_rate IS NOT NULL AND EXISTS (
        SELECT 1 FROM timers_rate_state r WHERE r.group_id = g.id AND r.key = '' AND r.tat > %(now)s)
    THEN 'max_rate'
    WHEN g.max_concurrency_per_key <= (
        SELECT sum(cardinality(c.executions)) FROM timers_claim c WHERE c.group_id = g.id AND c.limit_key = {key})
    THEN 'max_concurrency_per_key'
    WHEN g.max_rate_per_key IS NOT NULL AND EXISTS (
        SELECT 1 FROM timers_rate_state r WHERE r.group_id = g.id AND r.key = ':' || {key} AND r.tat > %(now)s)
    THEN 'max_rate_per_key' END"""
"""SQL: the limit that a group, or a key in it, has reached. Nothing more is claimed until it is below the limit."""


def unserved_groups(now: datetime) -> list[Finding]:
    """Report active groups that no live node may claim, by partition, roles or state.

    It is an error if they have work.
    """
    return [
        Finding(
            "error" if each.has_work else "info",
            each.words,
            f"Start a node that does: {each.command}; or correct the partition and the roles of the groups.",
            tuple({"group": name} for name in each.groups[:EVIDENCE]),
        )
        for each in unserved(now)
    ]


_OVERDUE: Final = f"""
SELECT g.name AS "group", due.name AS timer, due.next_fire_at,
       extract(epoch FROM %(now)s - due.next_fire_at)::float8 AS seconds_overdue, due.handler, {SERVED} AS served,
       due.handler IS NOT NULL AND h.somewhere AND NOT h.here AS handler_elsewhere,
       due.handler IS NOT NULL AND NOT h.somewhere AS handler_unknown,
       {_AT_LIMIT.format(key="due.limit_key")} AS at_limit
FROM timers_timer_group g
CROSS JOIN {PARTS}
CROSS JOIN LATERAL (
    SELECT t.name, t.next_fire_at, t.limit_key,
           CASE WHEN t.action IS NOT NULL THEN t.action ->> 'handler'
                WHEN g.worker_ordinals IS NULL THEN g.action ->> 'handler' END AS handler
    FROM timers_timer t
    WHERE {IN_PART}
      AND t.next_fire_at < %(now)s - greatest(g.misfire_grace, {LEAST_GRACE}) * INTERVAL '1 second'
    ORDER BY t.next_fire_at LIMIT {CAP + 1}) due
CROSS JOIN LATERAL (
    SELECT COALESCE(bool_or(due.handler = ANY(n.handlers)), false) AS somewhere,
           COALESCE(bool_or(due.handler = ANY(n.handlers) AND n.partition = g.partition AND n.allow_execution
                            AND g.required_roles <@ n.roles AND n.state IN ('starting', 'active')), false) AS here
    FROM timers_node n
    WHERE n.state IN ('starting', 'active', 'standby', 'draining') AND n.lease_expires_at > %(now)s) h
WHERE {NOT_PAUSED} AND g.state = 'active' AND NOT g.sandbox AND {NOT_PULLED}
ORDER BY due.next_fire_at LIMIT {CAP + 1}
"""


def overdue_timers(now: datetime) -> list[Finding]:
    """Report active timers of active groups that are overdue by more than the grace of their group, and why."""
    found = rows(_OVERDUE, {"now": now})
    reasons: dict[str, tuple[list[dict[str, Any]], str, str]] = {
        "unserved": ([], "no living node serves their group", "See which groups nobody serves, and start such a node."),
        "elsewhere": (
            [],
            "their handler is known only by nodes that do not serve their group",
            "Deploy the handler to the nodes that serve the group; they leave such timers to those who know it.",
        ),
        "unknown": (
            [],
            "they wait for a node that knows their handler, and none that lives does",
            "Deploy the code that registers it, or correct the name; they fire then, late by their misfire policy.",
        ),
        "limited": (
            [],
            "their group, or their key in it, is at its limit",
            "Wait, or raise the limit of the group; what is later than misfire_grace follows the misfire policy.",
        ),
        "behind": (
            [],
            "the nodes that serve them are behind",
            "Look at timercluster: if all slots are busy, add workers or nodes; if not, look into the nodes' logs.",
        ),
    }
    for row in found:
        is_unknown, is_elsewhere = row["handler_unknown"], row["handler_elsewhere"]
        rest = "limited" if row["at_limit"] else "behind"
        reason = "unknown" if is_unknown else "elsewhere" if is_elsewhere else rest
        reason = reason if row["served"] else "unserved"
        reasons[reason][0].append(row)
    columns = ("group", "timer", "next_fire_at", "seconds_overdue")
    return [
        Finding(
            "warning" if reason == "limited" else "error",
            f"{amount(late, CAP, 'timer')} overdue beyond the grace: {why}.",
            remedy,
            shown(late, *columns, *(["at_limit"] if reason == "limited" else [])),
        )
        for reason, (late, why, remedy) in reasons.items()
        if late
    ]


_READY: Final = f"""
SELECT w.id AS execution, g.name AS "group", w.name AS timer, w.step, w.handler, w.required_roles, w.available_at,
       {SERVED} AS served, {_AT_LIMIT.format(key="k.limit_key")} AS at_limit,
       w.handler IS NOT NULL AND NOT h.knows AS handler_unknown,
       w.required_roles IS NOT NULL AND NOT h.has AS roles_missing
FROM timers_timer_group g
CROSS JOIN LATERAL (
    SELECT * FROM timers_waiting w WHERE w.group_id = g.id AND w.state = 'ready' AND {WORKERS_OWN}
      AND w.available_at < %(now)s - greatest(g.misfire_grace, {LEAST_GRACE}) * INTERVAL '1 second'
    ORDER BY w.available_at LIMIT {CAP + 1}) w
LEFT JOIN timers_timer k ON k.id = w.timer_id
CROSS JOIN LATERAL (
    SELECT COALESCE(bool_or(w.handler = ANY(n.handlers)), false) AS knows,
           COALESCE(bool_or((w.handler IS NULL OR w.handler = ANY(n.handlers)) AND w.required_roles <@ n.roles),
                    false) AS has
    FROM timers_node n
    WHERE n.state IN ('starting', 'active') AND n.lease_expires_at > %(now)s AND n.partition = g.partition
      AND n.allow_execution AND g.required_roles <@ n.roles) h
WHERE {NOT_PAUSED} AND g.state = 'active' AND NOT g.sandbox AND {NOT_PULLED}
ORDER BY w.available_at LIMIT {CAP + 1}
"""


_WHY_READY: Final = {
    "unserved": ("no living node serves their group", "Start a node that does."),
    "unknown": (
        "no living node that serves their group knows the handler of their step",
        "Deploy the code that registers the handler to such a node, or correct the name in a new version of the chain "
        "and move the orders.",
    ),
    "roles": (
        "no living node that knows their handler has the roles that their step requires",
        "Start a node with these roles (runtimerworker --roles), or take them out in a new version of the chain.",
    ),
    "limited": ("their group, or their key in it, is at its limit", "Wait, or raise the limit of the group."),
    "behind": ("the nodes that serve them are behind", "Add workers or nodes, or look into the nodes' logs."),
}
"""Why ready executions are not claimed: explanation and remedy."""
_SHOWN: Final = {
    "unknown": ("execution", "group", "timer", "step", "handler", "available_at"),
    "roles": ("execution", "group", "timer", "step", "required_roles", "available_at"),
    "limited": ("execution", "group", "timer", "available_at", "at_limit"),
}


def overdue_ready(now: datetime) -> list[Finding]:
    """Report ready executions of active groups, steps of orders included, not claimed within the grace."""
    late: dict[str, list[dict[str, Any]]] = {}
    for row in rows(_READY, {"now": now}):
        late.setdefault(_why_ready(row), []).append(row)
    return [
        Finding(
            "warning" if why == "limited" else "error",
            f"{amount(late[why], CAP, 'ready execution')} overdue beyond the grace: {words}.",
            remedy,
            shown(late[why], *_SHOWN.get(why, ("execution", "group", "timer", "available_at"))),
        )
        for why, (words, remedy) in _WHY_READY.items()
        if why in late
    ]


def _why_ready(row: dict[str, Any]) -> str:
    if not row["served"]:
        return "unserved"
    if row["handler_unknown"]:
        return "unknown"
    if row["roles_missing"]:
        return "roles"
    return "behind" if row["at_limit"] is None else "limited"


_OF_THE_DEAD: Final = f"""
SELECT c.id AS fence, n.name AS node, n.state, cardinality(c.executions) AS executions, c.claimed_at,
       extract(epoch FROM %(now)s - least(n.lease_expires_at, n.ended_at))::float8 AS seconds_dead
FROM timers_claim c LEFT JOIN timers_node n ON n.id = c.node_id
WHERE (n.id IS NULL AND c.consumer IS NULL)
   OR (c.expires_at < %(now)s - {RESCUE_BOUND} * INTERVAL '1 second')
   OR (n.lease_expires_at < %(now)s - {RESCUE_BOUND} * INTERVAL '1 second')
   OR (n.state IN ('stopped', 'dead') AND n.ended_at < %(now)s - {RESCUE_BOUND} * INTERVAL '1 second')
ORDER BY c.id LIMIT {CAP + 1}
"""


def claims_of_the_dead(now: datetime) -> list[Finding]:
    """Report claims of nodes that have been dead for longer than a rescue takes."""
    found = rows(_OF_THE_DEAD, {"now": now})
    if not found:
        return []
    held = sum(row["executions"] for row in found)
    return [
        Finding(
            "error",
            f"{plural(held, 'execution')} in {amount(found, CAP, 'claim')} of dead nodes, and nobody has rescued them.",
            "Any living node rescues, within seconds: start one. If one lives, look for 'rescue' in its log.",
            shown(found),
        )
    ]
