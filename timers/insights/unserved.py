"""Unserved groups: active groups that no live node may claim, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from timers.database import connection
from timers.insights.concern import Concern
from timers.insights.counts import CAP, NOT_PULLED
from timers.insights.words import command_line, plural
from timers.models.due_index import IN_PART, PARTS

LIVE: Final = "n.state IN ('starting', 'active', 'standby', 'draining') AND n.lease_expires_at > %(now)s"
WORKERS_OWN: Final = "w.subscription = ANY(COALESCE(g.worker_ordinals, '{0}'))"
"""SQL condition: waiting executions that workers claim."""

# Which live nodes may claim a group: the engine's own rule (engine/due.py and the supervisor's).
SERVED: Final = """EXISTS (
    SELECT 1 FROM timers_node n WHERE n.state IN ('starting', 'active') AND n.lease_expires_at > %(now)s
      AND n.partition = g.partition AND g.required_roles <@ n.roles AND n.allow_execution
      AND (g.placement <> 'lead' OR EXISTS (SELECT 1 FROM timers_leadership l WHERE l.node_id = n.id)))"""

_UNSERVED: Final = f"""
SELECT g.name, g.partition, g.required_roles,
       ARRAY(SELECT r.role FROM unnest(g.required_roles) AS r(role) WHERE NOT EXISTS (
           SELECT 1 FROM timers_node n WHERE {LIVE} AND n.partition = g.partition AND r.role = ANY(n.roles))
           ORDER BY r.role) AS missing,
       EXISTS (SELECT 1 FROM timers_node n WHERE {LIVE} AND n.partition = g.partition) AS has_nodes,
       EXISTS (SELECT 1 FROM {PARTS}, timers_timer t WHERE {IN_PART})
           OR EXISTS (SELECT 1 FROM timers_waiting w WHERE w.group_id = g.id AND w.state = 'ready' AND {WORKERS_OWN})
           AS has_work
FROM timers_timer_group g
WHERE g.state = 'active' AND {NOT_PULLED} AND NOT {SERVED}
ORDER BY g.name LIMIT {CAP + 1}
"""


@dataclass(frozen=True, slots=True)
class Unserved:
    """Groups of one partition that nobody serves, for the same reason."""

    partition: str
    roles: tuple[str, ...]
    """Roles that the groups require."""
    missing: tuple[str, ...]
    """The required roles that no live node of the partition has."""
    has_nodes: bool
    """Whether the partition has a live node at all."""
    has_work: bool
    """Whether the groups have active timers or waiting executions."""
    groups: tuple[str, ...]

    @property
    def why(self) -> str:
        """Text of the reason."""
        if not self.has_nodes:
            return "it has no living node"
        if self.missing:
            return f"no living node of it has the role{'s' if len(self.missing) > 1 else ''} {', '.join(self.missing)}"
        return "its living nodes have not all of the roles, drain, or take no timers"

    @property
    def words(self) -> str:
        """The problem in one sentence."""
        which = f"partition {self.partition}" + (f" with the roles {', '.join(self.roles)}" if self.roles else "")
        number = f"{CAP:,}+ groups" if len(self.groups) > CAP else plural(len(self.groups), "group")
        return f"Nobody serves {number} of {which}: {self.why}."

    @property
    def command(self) -> str:
        """Command that starts a node that serves the groups."""
        roles = ("--roles", ",".join(self.roles)) if self.roles else ()
        return command_line("runtimerworker", "--partition", self.partition, *roles)


def unserved(now: datetime) -> tuple[Unserved, ...]:
    """Return the active groups that no live node may claim. Pull groups need no node and are left out."""
    with connection.cursor() as cursor:
        cursor.execute(_UNSERVED, {"now": now})
        rows = cursor.fetchall()
    by_reason: dict[Unserved, list[str]] = {}
    for name, partition, roles, missing, has_nodes, has_work in rows:
        reason = Unserved(partition, tuple(roles), tuple(missing), has_nodes, has_work, ())
        by_reason.setdefault(reason, []).append(name)
    return tuple(replace(reason, groups=tuple(names)) for reason, names in by_reason.items())


def unserved_concerns(found: Sequence[Unserved]) -> list[Concern]:
    """Return concerns for groups with work in a partition without a live node, or with a role that no node has."""
    return [
        Concern("trouble", f"{each.words[:-1]}. Start one:", each.command)
        for each in found
        if each.has_work and (each.missing or not each.has_nodes)
    ]
