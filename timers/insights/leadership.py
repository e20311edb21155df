"""Leadership: which node leads each partition that needs a leader, and problems where no node does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from timers.database import connection
from timers.insights.concern import Concern
from timers.insights.words import command_line

LIVE: Final = "('starting', 'active', 'standby', 'draining')"

# Partitions with nodes of a passive cluster, or with groups that only the leader fires. The lead that a stopped leader
# keeps is ignored if nodes have since shared the partition.
_LEADERSHIPS: Final = f"""
WITH living AS (
    SELECT partition, bool_or(mode <> 'distributed') AS is_passive
    FROM timers_node WHERE state IN {LIVE} AND lease_expires_at > %(now)s AND allow_execution GROUP BY partition
), needed AS (
    SELECT partition FROM living WHERE is_passive
    UNION SELECT partition FROM timers_timer_group WHERE placement = 'lead'
    UNION SELECT partition FROM timers_leadership l WHERE held_precedence IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM living v WHERE v.partition = l.partition AND NOT v.is_passive)
)
SELECT p.partition, COALESCE(v.is_passive, false), v.partition IS NOT NULL,
       EXISTS (SELECT 1 FROM timers_timer_group g WHERE g.partition = p.partition AND g.placement = 'lead'),
       COALESCE(n.name, ''), l.node_id, COALESCE(l.epoch, 0), l.since, l.expires_at,
       COALESCE(n.state IN {LIVE} AND n.lease_expires_at > %(now)s, false), COALESCE(n.state = 'draining', false),
       l.held_precedence IS NOT NULL, COALESCE(l.is_pinned, false), COALESCE(l.has_had_primary, false)
FROM needed p
LEFT JOIN living v ON v.partition = p.partition
LEFT JOIN timers_leadership l ON l.partition = p.partition
LEFT JOIN timers_node n ON n.id = l.node_id
ORDER BY p.partition LIMIT 1000
"""


@dataclass(frozen=True, slots=True)
class LeadershipView:
    """Present leadership of one partition."""

    partition: str
    is_passive: bool
    """Whether its live nodes are an exclusive one and backups."""
    has_nodes: bool
    """Whether it has a live node that takes work."""
    has_lead_groups: bool
    """Whether it has groups with placement lead."""
    node: str
    """Name of the leader, or of the node that keeps the lead although it has stopped; empty: none."""
    node_id: int | None
    epoch: int
    """Number that rises with each change of the leader."""
    since: datetime | None
    expires_at: datetime | None
    """When the leader's lease expires."""
    is_led: bool
    """Whether the leader is alive."""
    is_draining: bool
    """Whether the leader is draining: it takes no work."""
    is_held: bool
    """Whether the leader has stopped and keeps the lead (--on-stop hold)."""
    is_pinned: bool
    """Whether a person chose the leader: it returns the lead only on a person's request."""
    has_had_primary: bool
    """Whether an exclusive node has led the partition before."""


def leaderships(now: datetime) -> tuple[LeadershipView, ...]:
    """Return the partitions that need a leader, by name. `now`: of the database clock."""
    with connection.cursor() as cursor:
        cursor.execute(_LEADERSHIPS, {"now": now})
        return tuple(LeadershipView(*row) for row in cursor.fetchall())


def leadership_concerns(found: Sequence[LeadershipView]) -> list[Concern]:
    """Return concerns for partitions, or groups, in which nothing fires because there is no leader."""
    return [concern for each in found if (concern := _concern(each)) is not None]


def _concern(of: LeadershipView) -> Concern | None:
    in_partition = () if of.partition == "default" else ("--partition", of.partition)
    hand_over = command_line("timercluster", "handover", *in_partition)
    what = "Nothing of it fires" if of.is_passive else "Its groups with placement lead do not fire"
    if of.is_held:
        text = f"Node {of.node} has stopped and holds the lead of partition {of.partition}. Nothing of it fires until"
        return Concern("attention", f"{text} that node is back, or a person hands the lead over:", hand_over)
    if not of.has_nodes or (of.is_led and not of.is_draining):
        return None
    if of.is_draining:
        return Concern("attention", f"Node {of.node} leads partition {of.partition} and drains. {what}.")
    if of.is_passive and not of.has_had_primary:
        text = f"Partition {of.partition} waits for its primary; backups take over only after it. Start it:"
        return Concern("trouble", text, command_line("runtimerworker", "--mode", "exclusive", *in_partition))
    return Concern("trouble", f"Partition {of.partition} has no leader. {what}.")
