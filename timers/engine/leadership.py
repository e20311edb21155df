"""Leadership: which node leads a partition, and the epoch that fences the previous leader.

The row of a partition changes only here. A change of the leader locks the row FOR UPDATE; fires and claims that need
the leader lock it FOR KEY SHARE while they write. So a change waits for those that have started, and those that start
later find another epoch and take nothing.

A leader counts as gone when its node was stopped or declared dead (death.py): by the lease and the crash lock, on the
database clock. Any node may appoint the next leader; the rules (domain/cluster_modes.py) determine which node it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from timers.database import connection, transaction
from timers.domain.cluster_modes import HOLD, Change, Lead, Member, NodeMode, next_leader
from timers.engine.events import record
from timers.engine.wakeup import wake_workers

LIVE: Final = "('starting', 'active', 'standby', 'draining')"

# A heartbeat in the future was sent before the clock was set back.
_MEMBERS: Final = f"""
SELECT n.id, n.name, n.mode, n.precedence, n.on_stop, n.failback, n.allow_execution,
       n.state IN ('active', 'standby')
           AND n.heartbeat_at >= timers_now() - 2 * n.heartbeat_interval * INTERVAL '1 second' AS is_ready,
       n.state = 'draining' OR n.wish <> '' AS is_draining
FROM timers_node n
WHERE n.partition = %(partition)s AND n.state IN {LIVE}
ORDER BY n.id
"""
_HAS_LEAD_GROUPS: Final = """
EXISTS (SELECT 1 FROM timers_timer_group lg WHERE lg.partition = %(partition)s AND lg.placement = 'lead')
"""
_HAS_PASSIVE_NODES: Final = f"""
EXISTS (SELECT 1 FROM timers_node n
        WHERE n.partition = %(partition)s AND n.mode <> 'distributed' AND n.state IN {LIVE})
"""
NEEDS_LEADER: Final = f"({_HAS_LEAD_GROUPS} OR {_HAS_PASSIVE_NODES})"
"""SQL: whether anything in the partition (the parameter `partition`) needs a leader."""

_LEAD: Final = """
SELECT node_id, held_precedence, is_pinned, has_had_primary, epoch
FROM timers_leadership WHERE partition = %(partition)s
"""
_CREATE: Final = """
INSERT INTO timers_leadership (partition, epoch, expires_at) VALUES (%(partition)s, 0, timers_now())
ON CONFLICT DO NOTHING
"""
_APPOINT: Final = """
UPDATE timers_leadership l
SET node_id = n.id, epoch = l.epoch + 1, expires_at = n.lease_expires_at, since = timers_now(),
    led_since = CASE WHEN %(has_gap)s THEN timers_now() ELSE l.led_since END, held_precedence = NULL,
    is_pinned = %(is_pinned)s, has_had_primary = l.has_had_primary OR n.mode = 'exclusive'
FROM timers_node n
WHERE l.partition = %(partition)s AND n.id = %(to)s
RETURNING l.epoch, l.since
"""
_CHANGE_PLACES: Final = """
UPDATE timers_node n
SET state = CASE WHEN n.id = %(to)s THEN 'active' WHEN n.mode = 'distributed' THEN n.state ELSE 'standby' END
FROM (SELECT id FROM timers_node
      WHERE (id = %(to)s AND state = 'standby') OR (id = %(leader)s AND state = 'active')
      ORDER BY id FOR NO KEY UPDATE) l
WHERE n.id = l.id
"""
_RENEW: Final = """
UPDATE timers_leadership
SET expires_at = (SELECT lease_expires_at FROM timers_node WHERE id = %(node)s)
WHERE partition = ANY(ARRAY(
    SELECT partition FROM timers_leadership WHERE node_id = %(node)s FOR NO KEY UPDATE SKIP LOCKED))
"""
_OF_NODE: Final = f"""
SELECT l.partition, n.name, n.mode <> 'distributed' AND n.on_stop = %(hold)s, n.precedence
FROM timers_leadership l JOIN timers_node n ON n.id = l.node_id
WHERE l.node_id = %(node)s AND n.state IN {LIVE} FOR UPDATE OF l
"""
_LEAVE: Final = """
UPDATE timers_leadership
SET held_precedence = %(held)s, node_id = CASE WHEN %(held)s IS NULL THEN NULL ELSE node_id END,
    epoch = epoch + 1, expires_at = timers_now()
WHERE partition = %(partition)s
RETURNING timers_now()
"""


class Recorded(NamedTuple):
    """The leadership of a partition as stored in its row."""

    lead: Lead
    epoch: int


def live_members(partition: str) -> list[Member]:
    """Return the nodes of a partition that are neither stopped nor declared dead, in the order of their start."""
    with connection.cursor() as cursor:
        cursor.execute(_MEMBERS, {"partition": partition})
        return [_member(*row) for row in cursor.fetchall()]


def settle(partition: str) -> Change | None:
    """Appoint the node that must lead the partition now, if it does not lead yet; return the change.

    If nothing changes, it writes nothing and reads twice, or once where no node needs to lead.
    """
    members = live_members(partition)
    if not members:
        return None
    is_needed = has_lead_groups(partition)
    if not is_needed and not any(member.mode.is_passive for member in members):
        return None
    if next_leader(members, _read(partition).lead, has_lead_groups=is_needed) is None:
        return None
    with transaction.atomic():
        recorded = lock(partition)
        members = live_members(partition)
        change = next_leader(members, recorded.lead, has_lead_groups=is_needed)
        if change is not None:
            appoint(partition, recorded, change, members)
    return change


def lock(partition: str) -> Recorded:
    """Lock the leadership of a partition against fires of its leader and against other changes."""
    with connection.cursor() as cursor:
        cursor.execute(_CREATE, {"partition": partition})
    return _read(partition, " FOR UPDATE")


def appoint(
    partition: str, before: Recorded, change: Change, members: Sequence[Member], *, is_pinned: bool = False
) -> int:
    """Make a node the leader, in the transaction that has locked the leadership; return the new epoch.

    Args:
        partition: the partition.
        before: the leadership as it was locked.
        change: the new leader and the reason.
        members: the live nodes of the partition.
        is_pinned: a person chose the node.
    """
    wanted: dict[str, Any] = {
        "partition": partition,
        "to": change.to.id,
        "has_gap": change.has_gap,
        "is_pinned": is_pinned,
    }
    with connection.cursor() as cursor:
        cursor.execute(_APPOINT, wanted)
        epoch, since = cursor.fetchone()
        cursor.execute(_CHANGE_PLACES, {"to": change.to.id, "leader": before.lead.node_id})
    former = next((member.name for member in members if member.id == before.lead.node_id), "")
    after = f", after {former}" if former else ""
    record("lead taken", change.to.name, f"partition {partition}, epoch {epoch}{after}: {change.reason}", since)
    wake_workers()
    return int(epoch)


def leave(node_id: int) -> None:
    """Release the leadership of a node that ends, or keep it from the others if the node runs with --on-stop hold.

    Call it in the transaction that marks the node as stopped, before that: the leadership is locked before its nodes.
    settle() appoints another leader.
    """
    with connection.cursor() as cursor:
        cursor.execute(_OF_NODE, {"node": node_id, "hold": HOLD})
        row = cursor.fetchone()
        if row is None:
            return
        partition, name, holds, precedence = row
        cursor.execute(_LEAVE, {"partition": partition, "held": precedence if holds else None})
        (now,) = cursor.fetchone()
    record("lead held" if holds else "lead released", name, f"partition {partition}: the node has stopped", now)


def renew(node_id: int) -> None:
    """Renew the leader's lease after its heartbeat; nothing is written while the leader is being changed.

    It is a separate statement that waits for no lock: a heartbeat must not wait, and has the row of its node locked.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, {"node": node_id})


def has_lead_groups(partition: str) -> bool:
    """Return whether a partition has groups that only its leader may fire."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_HAS_LEAD_GROUPS}", {"partition": partition})
        return bool(cursor.fetchone()[0])


def leads(node_id: int) -> bool:
    """Return whether a node leads its partition."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM timers_leadership WHERE node_id = %s)", (node_id,))
        return bool(cursor.fetchone()[0])


def _read(partition: str, lock: str = "") -> Recorded:
    with connection.cursor() as cursor:
        cursor.execute(_LEAD + lock, {"partition": partition})
        row = cursor.fetchone()
    if row is None:
        return Recorded(Lead(), 0)
    *lead, epoch = row
    return Recorded(Lead(*lead), epoch)


def _member(id_: int, name: str, mode: str, precedence: int, on_stop: str, failback: str, *said: Any) -> Member:
    return Member(id_, name, NodeMode(mode, precedence, on_stop, failback), *said)
