"""Death: the verdict that another node is gone, and its consequences for the node's row.

It is given on the database clock alone: the lease has ended, or, faster, the node's crash lock (a session advisory lock
on its heartbeat connection) is free and two beats are missing. Nobody is declared dead shortly after the server came
back: then everyone's beats are missing, and no one's fault is proved. (The judge's own reconnection counts likewise;
see worker/heartbeat.py.)
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from django.db import connection, transaction

from timers import clock
from timers.lifecycle.events import record
from timers.models import Claim, Node
from timers.models.crash_lock import CRASH_LOCK_CLASS, LOCK_IS_FREE

_LIVE_NODES = f"""
SELECT n.id, n.name, n.host, n.pid, n.heartbeat_at,
       n.lease_expires_at < timers_now()
         OR CASE WHEN n.heartbeat_at < timers_now() - 2 * n.heartbeat_interval * INTERVAL '1 second'
                 THEN {LOCK_IS_FREE} ELSE false END AS gone,
       extract(epoch FROM n.heartbeat_at - timers_now())::float + 2 * n.heartbeat_interval AS until_verdict,
       clock_timestamp() - pg_postmaster_start_time() > %(settled)s * INTERVAL '1 second' AS settled
FROM timers_node n
WHERE n.state IN ('starting', 'active', 'standby', 'draining')
"""


@dataclass(frozen=True, slots=True)
class Watched:
    """What a look at the other nodes found."""

    dead: list[Node]
    seconds_to_next_verdict: float | None
    """Until the node that beat longest ago would miss its second beat; None when there is no other node."""


def watch_others(me: int, settled_seconds: float) -> Watched:
    """The live-looking nodes, other than this one, that are dead by the database clock: one query.

    `settled_seconds`: how long the server must have been up; after a restart everyone needs time to beat again.
    """
    dead, untils = [], []
    for node, gone, until_verdict, settled in _live_nodes(settled_seconds):
        if node.id == me:
            continue
        if gone and settled:
            dead.append(node)
        else:
            untils.append(until_verdict)
    return Watched(dead, min(untils, default=None))


def gone_nodes(host: str) -> dict[str, tuple[Node, bool]]:
    """Live-looking nodes by name, and whether each is surely gone: for a node that wants to take the name over.

    A node of this very host is gone when its process is no more and its crash lock is free, however fresh its lease.
    """
    return {
        node.name: (node, gone or (node.host == host and _has_crashed_here(node)))
        for node, gone, _, _ in _live_nodes(0)
    }


def declare_dead(node: Node, reason: str) -> bool:
    """Mark a node dead, once; its heartbeats take no effect from now on, and its claims are free to be rescued."""
    with transaction.atomic():
        now = clock.now()
        # The beat that the verdict was based on: one that came since acquits the node.
        looked_at = Node.objects.filter(id=node.id, state__in=Node.LIVE, heartbeat_at=node.heartbeat_at)
        changed = looked_at.update(state=Node.State.DEAD, state_reason=reason, ended_at=now, busy=0, busy_threads=0)
        if changed:
            record("node died", node.name, reason, now)
    return bool(changed)


def dead_with_claims() -> list[Node]:
    """Nodes that are dead or stopped and still hold claims: a rescue that was cut short goes on here."""
    return list(Node.objects.exclude(state__in=Node.LIVE).filter(id__in=Claim.objects.values("node_id")))


def take_crash_lock(node_id: int) -> bool:
    """Hold the node's crash lock for as long as this connection lives; False while an old connection still has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", (CRASH_LOCK_CLASS, node_id))
        (taken,) = cursor.fetchone()
    return bool(taken)


def _live_nodes(settled_seconds: float) -> list[tuple[Node, bool, float, bool]]:
    with connection.cursor() as cursor:
        cursor.execute(_LIVE_NODES, {"lock_class": CRASH_LOCK_CLASS, "settled": settled_seconds})
        return [
            (Node(id=id_, name=name, host=host, pid=pid, heartbeat_at=heartbeat_at), gone, until_verdict, settled)
            for id_, name, host, pid, heartbeat_at, gone, until_verdict, settled in cursor.fetchall()
        ]


def _has_crashed_here(node: Node) -> bool:
    try:
        os.kill(node.pid, 0)
    except ProcessLookupError:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {LOCK_IS_FREE} FROM timers_node n WHERE n.id = %(id)s",
                {"lock_class": CRASH_LOCK_CLASS, "id": node.id},
            )
            (free,) = cursor.fetchone()
        return bool(free)
    except PermissionError:
        pass
    return False
