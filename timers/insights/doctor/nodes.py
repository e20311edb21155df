"""Checks of nodes: concerns of the cluster page, leases that are too short, unknown handlers."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from timers import conf
from timers.domain.drift import Published
from timers.insights.cluster import cluster
from timers.insights.counts import CAP
from timers.insights.doctor.finding import EVIDENCE, Finding, Severity, amount, rows, shown
from timers.insights.doctor.places import NEXT_TIMERS
from timers.insights.drift import drift_of, drift_words
from timers.insights.health import state_concerns
from timers.insights.node_view import newest_nodes
from timers.models.due_index import IN_PART, PARTS
from timers.schedules.zones import is_newer_edition

SILENT_BEFORE: Final = 3.0
"""Seconds before its lease expires at which a node without heartbeat stops its workers (worker/supervisor.py)."""

_SEVERITY: Final[dict[str, Severity]] = {"trouble": "error", "attention": "warning"}


def cluster_concerns(now: datetime) -> list[Finding]:
    """Report missing nodes, suspect nodes, dead nodes with claims, clock offsets, and version differences."""
    return [
        Finding(_SEVERITY[concern.level], concern.text.rstrip(":"), concern.command)
        for concern in state_concerns(cluster(now))
    ]


_LEASES: Final = """
SELECT name AS node, heartbeat_interval, extract(epoch FROM lease_expires_at - heartbeat_at)::float8 AS lease
FROM timers_node
WHERE state IN ('starting', 'active', 'standby', 'draining') AND lease_expires_at > %(now)s
  AND extract(epoch FROM lease_expires_at - heartbeat_at) - %(silent)s < 2 * heartbeat_interval
ORDER BY name LIMIT 1001
"""


def narrow_leases(now: datetime) -> list[Finding]:
    """Report live nodes that would stop their workers after a single late heartbeat."""
    found = rows(_LEASES, {"now": now, "silent": SILENT_BEFORE})
    if not found:
        return []
    return [
        Finding(
            "warning",
            f"{amount(found, CAP, 'node')} would end all running handlers after one late heartbeat.",
            f"Set TIMERS_LEASE to more than two heartbeat intervals and {SILENT_BEFORE:g} s, better to three and more.",
            shown(found),
        )
    ]


def late_suspicion(now: datetime) -> list[Finding]:
    """Report settings with which no node becomes suspect before it is dead."""
    settings = conf.current()
    if settings.heartbeat_interval + settings.heartbeat_pause < settings.lease:
        return []
    return [
        Finding(
            "info",
            f"No node is suspect before it is dead: TIMERS_HEARTBEAT_INTERVAL ({settings.heartbeat_interval:g} s) and"
            f" TIMERS_HEARTBEAT_PAUSE ({settings.heartbeat_pause:g} s) together reach TIMERS_LEASE"
            f" ({settings.lease:g} s).",
            "Lower TIMERS_HEARTBEAT_PAUSE, or raise TIMERS_LEASE.",
        )
    ]


_ZONE_RULES: Final = """
SELECT name AS node, zone_rules, (SELECT edition FROM timers_zone_rules) AS applied
FROM timers_node
WHERE state IN ('starting', 'active', 'standby', 'draining') AND lease_expires_at > %(now)s AND zone_rules <> ''
ORDER BY name LIMIT 1001
"""


def differing_zone_rules(now: datetime) -> list[Finding]:
    """Report live nodes with older time zone rules than another node, or than the schedules were computed with."""
    alive = rows(_ZONE_RULES, {"now": now})
    editions = {edition for row in alive for edition in (row["zone_rules"], row["applied"]) if edition}
    newest = next((one for one in editions if not any(is_newer_edition(other, one) for other in editions)), "")
    behind = [row for row in alive if is_newer_edition(newest, row["zone_rules"])]
    if not behind:
        return []
    names = ", ".join(f"{row['node']} ({row['zone_rules']})" for row in behind[:5])
    return [
        Finding(
            "warning",
            f"{amount(behind, CAP, 'node')} with time zone rules older than {newest}: "
            f"{names}{', ...' if len(behind) > 5 else ''}. What they compute follows the old rules.",
            "Update the time zone rules of these machines (the system's tzdata, else the tzdata package) and restart"
            " the nodes.",
            shown(behind, "node", "zone_rules"),
        )
    ]


HERE: Final = "this process"


def drift(now: datetime) -> list[Finding]:
    """Report settings that must be equal everywhere and are not (including this process), and handlers that only some
    nodes of a partition know.

    Versions and time zone rules have their own checks.
    """
    here = Published(HERE, conf.shared_settings(conf.current()))
    found = [each for each in drift_of(newest_nodes(now), here) if each.kind in ("setting", "handler")]
    findings = [
        Finding(
            "warning",
            each.words,
            f"Give all nodes and web processes the same {each.name}, and restart those that differ.",
            tuple({"value": value, "nodes": ", ".join(nodes)} for value, nodes in each.values[:EVIDENCE]),
        )
        for each in found
        if each.kind == "setting"
    ]
    missing = [each for each in found if each.kind == "handler"]
    remedy = (
        "Deploy the same code to all nodes of the partition, or give nodes of different handlers different roles. Until"
        " then the timers of these handlers fire on the other nodes."
    )
    evidence = tuple({"handler": each.name, "missing on": ", ".join(each.odd)} for each in missing[:EVIDENCE])
    return findings + [Finding("warning", text, remedy, evidence) for text in drift_words(missing)]


# Groups have few handlers; for timers, the next fires are read from the due index, shard by shard.
_HANDLERS: Final = f"""
WITH in_use AS (
    SELECT g.action ->> 'handler' AS handler, g.name AS "group", NULL::varchar AS timer
    FROM timers_timer_group g WHERE g.state = 'active' AND EXISTS (
        SELECT 1 FROM {PARTS}, timers_timer t
        WHERE {IN_PART})
    UNION ALL
    SELECT s.action ->> 'handler', g.name, NULL
    FROM timers_subscription s JOIN timers_timer_group g ON g.id = s.group_id
    WHERE s.state = 'active' AND g.state = 'active'
    UNION ALL
    SELECT t.handler, g.name, t.name
    FROM timers_timer_group g CROSS JOIN {PARTS}
    CROSS JOIN LATERAL (
        SELECT t.name, t.action ->> 'handler' AS handler FROM timers_timer t
        WHERE {IN_PART}
        ORDER BY t.next_fire_at LIMIT {NEXT_TIMERS}) t
    WHERE g.state = 'active'
)
SELECT u.handler, min(u."group") AS "group", min(u.timer) AS timer
FROM in_use u
WHERE u.handler IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM timers_node n WHERE n.state IN ('starting', 'active', 'standby', 'draining')
      AND n.lease_expires_at > %(now)s AND u.handler = ANY(n.handlers))
  AND EXISTS (SELECT 1 FROM timers_node n WHERE n.state IN ('starting', 'active', 'standby', 'draining')
      AND n.lease_expires_at > %(now)s)
GROUP BY u.handler ORDER BY u.handler LIMIT {CAP + 1}
"""


def unknown_handlers(now: datetime) -> list[Finding]:
    """Report handlers of groups and of the next timers that no live node knows. Reports nothing if there is no node."""
    found = rows(_HANDLERS, {"now": now})
    if not found:
        return []
    return [
        Finding(
            "error",
            f"{amount(found, CAP, 'handler')} in use that no living node knows: "
            f"{', '.join(row['handler'] for row in found[:5])}{', ...' if len(found) > 5 else ''}. Their timers wait.",
            "Deploy the code that registers it (an installed app's timer_handlers.py), or correct the name.",
            shown(found),
        )
    ]
