"""Nodes: registration, heartbeat, lease, and the verdict that another node is dead.

Death is decided on the database clock: the lease has ended, or, faster, the node's crash lock (a session advisory lock
on its heartbeat connection) is free and two beats are missing. Nobody is declared dead shortly after the server or the
judge's own connection came back: then everyone's beats are missing, and no one's fault is proved.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, connection, transaction

from timers import clock
from timers.exceptions import NotAllowedNow
from timers.lifecycle.events import record
from timers.models import Claim, Node

CRASH_LOCK_CLASS: Final = 0x54494D45
"""First key of the crash locks ("TIME"); the second is the node row's id."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a node says of itself when it starts."""

    name: str
    host: str
    pid: int
    partition: str
    roles: Sequence[str]
    allow_execution: bool
    workers: int
    slots: int
    heartbeat_interval: float
    lease: float
    version: str
    handlers: Sequence[str]
    crash_lock: bool


@dataclass(frozen=True, slots=True)
class Beat:
    """What a node reports with each heartbeat."""

    clock_offset: float
    busy: int
    rss: int
    counters: dict[str, Any]


def register(node: Registration) -> Node:
    """Write the row of a new incarnation.

    An earlier incarnation of the same name that is surely gone is declared dead on the spot: a restart after kill -9
    need not wait for its own lease. Raises NotAllowedNow when a node of that name is alive.
    """
    now = clock.now()
    for earlier in Node.objects.filter(name=node.name, state__in=Node.LIVE):
        if not (_is_gone(earlier, now) or _has_crashed_here(earlier, node.host)):
            raise NotAllowedNow(
                f"a node named {node.name!r} is alive (host {earlier.host}, pid {earlier.pid}); "
                "choose another --name, or wait until it is stopped"
            )
        declare_dead(earlier, f"its name came back as pid {node.pid} on {node.host}")
    try:
        row = Node.objects.create(
            name=node.name,
            incarnation=uuid.uuid4(),
            host=node.host,
            pid=node.pid,
            partition=node.partition,
            roles=list(node.roles),
            allow_execution=node.allow_execution,
            started_at=now,
            heartbeat_at=now,
            heartbeat_interval=node.heartbeat_interval,
            lease_expires_at=now + timedelta(seconds=node.lease),
            crash_lock=node.crash_lock,
            workers=node.workers,
            slots=node.slots,
            version=node.version,
            handlers=list(node.handlers),
        )
    except IntegrityError:
        raise NotAllowedNow(f"a node named {node.name!r} started at the same moment; choose another --name") from None
    record("node joined", row.name, f"pid {row.pid} on {row.host}, {row.workers} workers, {row.slots} slots", now)
    return row


def free_name(wanted: str, host: str) -> str:
    """`wanted`, or the first of wanted-2, wanted-3, ... that no live node has."""
    now = clock.now()
    taken = {
        node.name
        for node in Node.objects.filter(state__in=Node.LIVE, name__startswith=wanted)
        if not (_is_gone(node, now) or _has_crashed_here(node, host))
    }
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name


def take_crash_lock(node_id: int) -> bool:
    """Hold the node's crash lock for as long as this connection lives; False while an old connection still has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", (CRASH_LOCK_CLASS, node_id))
        (taken,) = cursor.fetchone()
    return bool(taken)


def beat(node_id: int, lease: float, report: Beat) -> datetime | None:
    """Renew the lease and write the report; returns the database's now, or None when the node was declared dead."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE timers_node SET heartbeat_at = timers_now(),"
            " lease_expires_at = timers_now() + %s * INTERVAL '1 second',"
            " state = CASE WHEN state = 'starting' THEN 'active' ELSE state END,"
            " clock_offset = %s, busy = %s, rss = %s, counters = %s"
            " WHERE id = %s AND state IN ('starting', 'active', 'standby', 'draining') RETURNING timers_now()",
            (lease, report.clock_offset, report.busy, report.rss, json.dumps(report.counters), node_id),
        )
        row = cursor.fetchone()
    return None if row is None else row[0]


def find_dead(me: int, settled_seconds: float) -> list[Node]:
    """Live-looking nodes that are dead by the database clock, not counting this one.

    `settled_seconds`: how long the server must have been up; after a restart everyone needs time to beat again.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT clock_timestamp() - pg_postmaster_start_time() > %s * INTERVAL '1 second'", (settled_seconds,)
        )
        (settled,) = cursor.fetchone()
    if not settled:
        return []
    now = clock.now()
    return [node for node in Node.objects.filter(state__in=Node.LIVE).exclude(id=me) if _is_gone(node, now)]


def seconds_to_next_verdict(me: int) -> float | None:
    """Seconds until the node that beat longest ago would miss its second beat; None when this node is alone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(extract(epoch FROM heartbeat_at - timers_now()) + 2 * heartbeat_interval) FROM timers_node"
            " WHERE state IN ('starting', 'active', 'standby', 'draining') AND id <> %s",
            (me,),
        )
        (seconds,) = cursor.fetchone()
    return None if seconds is None else float(seconds)


def declare_dead(node: Node, reason: str) -> bool:
    """Mark a node dead, once; its heartbeats and finishes take no effect from now on."""
    with transaction.atomic():
        now = clock.now()
        changed = Node.objects.filter(id=node.id, state__in=Node.LIVE).update(
            state=Node.State.DEAD, state_reason=reason, ended_at=now
        )
        if changed:
            record("node died", node.name, reason, now)
    return bool(changed)


def dead_with_claims() -> list[Node]:
    """Nodes that are dead or stopped and still hold claims: a rescue that was cut short goes on here."""
    return list(Node.objects.exclude(state__in=Node.LIVE).filter(id__in=Claim.objects.values("node_id")))


def set_draining(node_id: int) -> None:
    """The node claims no more and ends what it holds."""
    Node.objects.filter(id=node_id, state__in=Node.LIVE).update(state=Node.State.DRAINING)


def set_stopped(node_id: int, name: str) -> None:
    """The node has ended in order."""
    with transaction.atomic():
        now = clock.now()
        if Node.objects.filter(id=node_id, state__in=Node.LIVE).update(state=Node.State.STOPPED, ended_at=now):
            record("node stopped", name, "", now)


def handlers_elsewhere(known_here: Sequence[str]) -> list[str]:
    """Handlers that live nodes publish and this one does not know: their timers are left for those nodes."""
    here = frozenset(known_here)
    live = Node.objects.filter(state__in=Node.LIVE, lease_expires_at__gt=clock.now())
    return sorted({name for names in live.values_list("handlers", flat=True) for name in names} - here)


def _is_gone(node: Node, now: datetime) -> bool:
    if node.lease_expires_at < now:
        return True
    if not node.crash_lock or now - node.heartbeat_at < timedelta(seconds=2 * node.heartbeat_interval):
        return False
    return _crash_lock_is_free(node.id)


def _has_crashed_here(node: Node, host: str) -> bool:
    """A node of this very host whose process is no more and whose heartbeat connection is closed."""
    if node.host != host or not node.crash_lock:
        return False
    try:
        os.kill(node.pid, 0)
    except ProcessLookupError:
        return _crash_lock_is_free(node.id)
    except PermissionError:
        pass
    return False


def _crash_lock_is_free(node_id: int) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", (CRASH_LOCK_CLASS, node_id))
        (free,) = cursor.fetchone()
    return bool(free)
