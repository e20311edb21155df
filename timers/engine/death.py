"""Death: decide that another node is dead, and update the node's row.

By the database clock a node is gone when its lease has expired or, faster, when its crash lock (a session advisory lock
on its heartbeat connection) is free and two beats are missing. No node is declared dead shortly after the server
restarted: then all beats are missing, and that proves nothing. (The judging node's own reconnection counts likewise;
see worker/heartbeat.py.)

The database clock may step, so it is not trusted alone: the judging node must itself have seen the heartbeat unchanged,
by its own clock, for as long as the verdict requires (Sightings).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from timers import clock
from timers.database import connection, transaction
from timers.engine.clock_step import SLACK, is_held
from timers.engine.events import record
from timers.engine.suspects import Heard
from timers.models import Node
from timers.models.crash_lock import CRASH_LOCK_CLASS, LOCK_IS_FREE

_LIVE_NODES = f"""
SELECT n.id, n.name, n.host, n.machine, n.pid, n.partition, n.heartbeat_at, n.heartbeat_interval,
       extract(epoch FROM n.lease_expires_at - n.heartbeat_at)::float AS lease,
       n.heartbeat_intervals, n.suspect_since, extract(epoch FROM c.now - n.heartbeat_at)::float AS silence,
       c.is_ahead OR n.lease_expires_at < c.now AS is_over,
       CASE WHEN c.is_ahead OR n.heartbeat_at < c.now - 2 * n.heartbeat_interval * INTERVAL '1 second'
            THEN {LOCK_IS_FREE} ELSE false END AS has_crashed,
       extract(epoch FROM n.heartbeat_at - c.now)::float + 2 * n.heartbeat_interval AS until_verdict,
       -- A server that started in the future has a clock that was set back since.
       NOT clock_timestamp() - pg_postmaster_start_time() BETWEEN INTERVAL '0' AND %(settled)s * INTERVAL '1 second'
           AS settled
FROM timers_node n
CROSS JOIN LATERAL (SELECT r.now, n.heartbeat_at > r.now + {SLACK} * INTERVAL '1 second' AS is_ahead
                    FROM (SELECT timers_now() AS now OFFSET 0) r OFFSET 0) c
WHERE n.state IN ('starting', 'active', 'standby', 'draining')
ORDER BY n.id
"""
# A heartbeat in the future was sent before the clock was set back; a live node soon sends the next one.

UNCHANGED: Final = 1.0
"""Heartbeat intervals for which a heartbeat must be unchanged before a free crash lock proves a crash."""


@dataclass(frozen=True, slots=True)
class Watched:
    """Result of a look at the other nodes."""

    dead: list[Node]
    seconds_to_next_verdict: float | None
    """Seconds until the node with the oldest beat would miss its second beat; None: there is no other node."""
    heard: list[Heard] = field(default_factory=list)
    """Nodes that are not dead, including the judging node: they may be suspect."""


@dataclass(frozen=True, slots=True)
class _Looked:
    node: Node
    lease: float
    silence: float
    is_over: bool
    """Whether its lease has expired by the database clock."""
    has_crashed: bool
    """Whether two beats are missing by the database clock and its crash lock is free."""
    until_verdict: float
    settled: bool

    @property
    def gone(self) -> bool:
        return self.is_over or self.has_crashed


class Sightings:
    """How long each node's heartbeat has been unchanged, as seen by one judging node's own clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: dict[int, tuple[datetime, float]] = {}

    def look(self, looked: Sequence[_Looked]) -> None:
        """Record which heartbeats have changed since the last look."""
        now = self._clock()
        before = self._seen
        self._seen = {}
        for each in looked:
            heartbeat_at, since = before.get(each.node.id, (None, now))
            changed = heartbeat_at != each.node.heartbeat_at
            self._seen[each.node.id] = (each.node.heartbeat_at, now if changed else since)

    def forget(self) -> None:
        """Start over: the judging node was disconnected, or the clock has stepped."""
        self._seen = {}

    def confirm(self, looked: _Looked) -> bool:
        """Whether the heartbeat has been unchanged for as long as the verdict on the node requires."""
        _, since = self._seen[looked.node.id]
        still = self._clock() - since
        if looked.has_crashed and still >= UNCHANGED * looked.node.heartbeat_interval:
            return True
        return looked.is_over and still >= looked.lease


def watch_others(me: int, settled_seconds: float, sightings: Sightings | None = None) -> Watched:
    """Find the dead among the other nodes in a live state, with one query.

    Args:
        me: id of the judging node.
        settled_seconds: how long the server must have been up: after a restart all nodes need time to beat again.
        sightings: what the judging node has seen itself; None: the database clock is trusted alone.
    """
    dead, untils = [], []
    everyone = _live_nodes(settled_seconds)
    looked = [each for each in everyone if each.node.id != me]
    if sightings is not None:
        sightings.look(looked)
    for each in looked:
        if each.gone and each.settled and (sightings is None or sightings.confirm(each)):
            dead.append(each.node)
        else:
            untils.append(each.until_verdict)
    heard = [Heard(each.node, each.silence, each.settled) for each in everyone if each.node not in dead]
    return Watched(dead, min(untils, default=None), heard)


@dataclass(frozen=True, slots=True)
class Judged:
    """A node in a live state, as a node judges it that starts."""

    node: Node
    is_gone: bool
    """Whether it is certainly gone."""
    is_undecided: bool = False
    """Whether its heartbeats are missing at a time when that proves nothing: it may be gone."""


def judge_at_start(host: str, machine: str, settled_seconds: float) -> list[Judged]:
    """Return the nodes in a live state, by rising id, as a node of this host judges them when it starts.

    A node of this machine is gone when its process does not exist and its crash lock is free, however fresh its lease
    is. Of all others a missing heartbeat decides, as in watch_others; so not shortly after the server restarted, and
    not while a step of the database clock suspends rescues.

    Args:
        host: name of this host.
        machine: distinguishes machines of one host name; empty: unknown.
        settled_seconds: how long the server must have been up.
    """
    everyone = _live_nodes(settled_seconds)
    trusts = bool(everyone) and not _is_held()
    judged = []
    for each in everyone:
        has_ended = _is_here(each.node, host, machine) and _has_crashed_here(each.node)
        is_gone = has_ended or (each.gone and each.settled and trusts)
        judged.append(Judged(each.node, is_gone, each.gone and not is_gone))
    return judged


def _is_held() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {is_held('timers_now()')}")
        return bool(cursor.fetchone()[0])


def _is_here(node: Node, host: str, machine: str) -> bool:
    return node.host == host and (not node.machine or not machine or node.machine == machine)


def declare_dead(node: Node, reason: str) -> bool:
    """Mark a node dead, once: its heartbeats have no effect any longer, and its claims can be rescued."""
    with transaction.atomic():
        now = clock.now()
        # The beat on which the verdict is based: a later beat proves that the node is alive.
        looked_at = Node.objects.filter(id=node.id, state__in=Node.LIVE, heartbeat_at=node.heartbeat_at)
        changed = looked_at.update(state=Node.State.DEAD, state_reason=reason, ended_at=now, busy=0, busy_threads=0)
        if changed:
            record("node died", node.name, reason, now)
    return bool(changed)


_ENDED_HOLDERS: Final = """
SELECT c.node_id, COALESCE(n.name, 'number ' || c.node_id)
FROM (SELECT DISTINCT node_id FROM timers_claim WHERE node_id IS NOT NULL) c
LEFT JOIN timers_node n ON n.id = c.node_id
WHERE n.id IS NULL OR n.state NOT IN ('starting', 'active', 'standby', 'draining')
ORDER BY c.node_id
"""


def dead_with_claims() -> list[Node]:
    """Return nodes that are dead, stopped or removed and still have claims, to continue an interrupted rescue.

    A node without a row can have a claim that it was writing, in a transaction, while it was declared dead and removed.
    Of these nodes only id and name are set.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ENDED_HOLDERS)
        return [Node(id=node_id, name=name) for node_id, name in cursor.fetchall()]


def take_crash_lock(node_id: int) -> bool:
    """Take the node's crash lock until this connection ends; return False while another connection has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", (CRASH_LOCK_CLASS, node_id))
        (taken,) = cursor.fetchone()
    return bool(taken)


def _live_nodes(settled_seconds: float) -> list[_Looked]:
    with connection.cursor() as cursor:
        cursor.execute(_LIVE_NODES, {"lock_class": CRASH_LOCK_CLASS, "settled": settled_seconds})
        return [_looked(*row) for row in cursor.fetchall()]


def _looked(
    id_: int,
    name: str,
    host: str,
    machine: str,
    pid: int,
    partition: str,
    heartbeat_at: datetime,
    interval: float,
    lease: float,
    intervals: list[float],
    suspect_since: datetime | None,
    *verdict: Any,
) -> _Looked:
    node = Node(
        id=id_, name=name, host=host, machine=machine, pid=pid, partition=partition, heartbeat_at=heartbeat_at,
        heartbeat_interval=interval, heartbeat_intervals=intervals, suspect_since=suspect_since,
    )  # fmt: skip
    return _Looked(node, lease, *verdict)


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
