"""Nodes: registration, heartbeat and lease, drain and stop. death.py decides about other nodes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models.expressions import RawSQL

from timers import clock
from timers.clock import boot_id
from timers.database import connection, transaction
from timers.domain.cluster_modes import SHARED, Member, NodeMode, clash
from timers.domain.drift import config_hash
from timers.domain.suspicion import SAMPLES
from timers.engine.clock_step import IS_VIRTUAL
from timers.engine.death import Judged, declare_dead, judge_at_start
from timers.engine.events import record
from timers.engine.leadership import LIVE, leave, live_members, renew
from timers.exceptions import NotAllowedNow
from timers.models import ClusterEvent, Node
from timers.models.cluster_event import NODE_REFUSED
from timers.schedules.zones import edition
from timers.server.prepare import is_pooled

REGISTER_LOCK_CLASS: Final = 0x54524547
"""First key of the advisory lock that registrations in one partition take."""
REFUSED_AGAIN: Final = timedelta(minutes=10)
"""Time between two events of the same refusal."""
LEADS: Final = "EXISTS (SELECT 1 FROM timers_leadership l WHERE l.node_id = timers_node.id)"
_STATE: Final = f"""
CASE WHEN %(draining)s THEN 'draining'
     WHEN mode = 'distributed' OR {LEADS} THEN 'active'
     WHEN state IN ('starting', 'draining') AND NOT %(ready)s THEN 'starting'
     ELSE 'standby' END
"""
# A node of a passive partition stays in the state starting until its workers can claim: it must not become the leader.

_INTERVALS: Final = f"""
CASE WHEN heartbeat_at > started_at AND r.now > heartbeat_at
          AND r.now - heartbeat_at <= %(lease)s * INTERVAL '1 second'
     THEN (heartbeat_intervals || extract(epoch FROM r.now - heartbeat_at)::float8)
          [GREATEST(cardinality(heartbeat_intervals) - {SAMPLES - 2}, 1):]
     ELSE heartbeat_intervals END
"""
# The first beat follows the registration at once, and more than a lease passes between two only when the clock steps.


@dataclass(frozen=True, slots=True)
class Registration:
    """What a node reports about itself at its start."""

    name: str
    host: str
    pid: int
    partition: str
    roles: Sequence[str]
    allow_execution: bool
    workers: int
    threads: int
    """Plain handlers that all its workers together run at once."""
    async_slots: int
    """Async handlers and HTTP calls that all its workers together run at once."""
    heartbeat_interval: float
    lease: float
    version: str
    handlers: Sequence[str]
    crash_lock: bool
    look_ahead: float = 0.0
    """Seconds by which it claims timers ahead of their instants."""
    listens: bool = False
    """Whether NOTIFY wakes it."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings that should be the same on all nodes; see conf.shared_settings."""
    wish: str = ""
    """The pending request to the previous incarnation in the same process."""
    mode: NodeMode = SHARED
    machine: str = field(default_factory=boot_id)
    """Distinguishes machines with the same host name; empty: unknown."""


@dataclass(frozen=True, slots=True)
class Beat:
    """What a node reports with each heartbeat."""

    clock_offset: float
    busy_threads: int
    """Executions that run in a thread."""
    busy_async: int
    """Executions that run on an event loop."""
    rss: int
    counters: dict[str, Any]
    draining: bool = False
    """Whether it claims nothing, and only ends what it has."""
    ready: bool = True
    """Whether its workers have started and can claim."""


@dataclass(frozen=True, slots=True)
class Renewed:
    """The result of a heartbeat."""

    now: datetime
    """By the database clock."""
    wish: str
    """What a person requests of this incarnation: see Node.Wish."""
    leads: bool = False
    """Whether it leads its partition."""
    is_virtual: bool = False
    """Whether a test or a simulation controls `now`."""


class Undecided(NotAllowedNow):
    """A node cannot start yet: another one may be alive, which is known soon. Nothing was written; try again."""


def register(node: Registration) -> Node:
    """Insert the row of a new incarnation.

    Live nodes may share a name: their incarnations are distinguished by their ids. An earlier incarnation of the name
    that is certainly gone is declared dead at once: a restart after kill -9 need not wait for its own lease.

    Raises:
        NotAllowedNow: the mode clashes with the live nodes of the partition.
        Undecided: the mode clashes with nodes whose heartbeats are missing at a time when that proves nothing.
    """
    try:
        return _register(node)
    except Undecided:
        raise
    except NotAllowedNow as refused:
        _record_refusal(node, str(refused))
        raise


def _record_refusal(node: Registration, why: str) -> None:
    """Record the refusal as an event; repeated attempts of the same node are recorded only from time to time."""
    now = clock.now()
    detail = f"on {node.host}: {why}"
    lately = ClusterEvent.objects.filter(kind=NODE_REFUSED, node=node.name, detail=detail, at__gt=now - REFUSED_AGAIN)
    if not lately.exists():
        record(NODE_REFUSED, node.name, detail, now)


def _register(node: Registration) -> Node:
    others = _judged(node.host, node.machine, node.lease)
    namesakes = [other for other in others if other.node.name == node.name]
    alive = [
        other.node for other in namesakes
        if not other.is_gone or not declare_dead(other.node, f"its name came back as pid {node.pid} on {node.host}")
    ]  # fmt: skip
    now = clock.now()
    pooled = is_pooled(connection)
    with transaction.atomic():
        _check_mode(node, others)
        row = Node.objects.create(
            name=node.name,
            incarnation=uuid.uuid4(),
            host=node.host,
            pid=node.pid,
            machine=node.machine,
            partition=node.partition,
            mode=node.mode.kind,
            precedence=node.mode.precedence,
            on_stop=node.mode.on_stop,
            failback=node.mode.failback,
            roles=list(node.roles),
            allow_execution=node.allow_execution,
            started_at=now,
            heartbeat_at=now,
            heartbeat_interval=node.heartbeat_interval,
            lease_expires_at=now + timedelta(seconds=node.lease),
            # Behind a pooler the lock would belong to another client's session, and no notification arrives.
            crash_lock=node.crash_lock and not pooled,
            workers=node.workers,
            threads=node.threads,
            async_slots=node.async_slots,
            slots=node.threads + node.async_slots,
            version=node.version,
            zone_rules=edition(),
            handlers=list(node.handlers),
            look_ahead=node.look_ahead,
            listens=node.listens and not pooled,
            settings=dict(node.settings),
            config_hash=config_hash(node.settings, node.version, edition(), node.handlers),
            wish=node.wish,
        )
    capacity = f"{row.workers} workers, {row.threads} threads, {row.async_slots} async slots"
    beside = ", ".join(f"node {other.id} (pid {other.pid} on {other.host})" for other in alive)
    shares = f"; shares its name with {beside}" if beside else ""
    record("node joined", row.name, f"pid {row.pid} on {row.host}, {capacity}{shares}", now)
    return row


def _judged(host: str, machine: str, lease: float) -> list[Judged]:
    """Return the other nodes as a node with this lease judges them at its start.

    Under virtual time the start of the server says nothing about heartbeats.
    """
    return judge_at_start(host, machine, 0 if clock.read().is_virtual else lease)


def _check_mode(node: Registration, others: Sequence[Judged]) -> None:
    """Refuse a mode that clashes with those of the partition's live nodes; concurrent registrations wait.

    A gone node that would clash is declared dead: if it was only frozen, it must not come back in addition to this one.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (REGISTER_LOCK_CLASS, node.partition))
    members = {member.id: member for member in live_members(node.partition)}
    for other in others:
        clashes = other.is_gone and other.node.id in members and _clash(node, [members[other.node.id]])
        if clashes and declare_dead(other.node, f"node {node.name} has started in its place on {node.host}"):
            del members[other.node.id]
    if problem := _clash(node, list(members.values())):
        undecided = {other.node.id for other in others if other.is_undecided}
        if _clash(node, [member for member in members.values() if member.id not in undecided]):
            raise NotAllowedNow(problem)
        raise Undecided(problem)


def _clash(node: Registration, members: Sequence[Member]) -> str:
    return clash(node.partition, node.mode, node.allow_execution, members)


def free_name(wanted: str, host: str) -> str:
    """Return `wanted`, or the first of wanted-2, wanted-3, ... that no node has which seems to be alive."""
    others = judge_at_start(host, boot_id(), 0)
    taken = {other.node.name for other in others if not other.is_gone and not other.is_undecided}
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name


def beat(node_id: int, lease: float, report: Beat) -> Renewed | None:
    """Renew the lease and write the report of a node; return None when it was declared dead.

    Args:
        node_id: the node.
        lease: seconds.
        report: its report.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE timers_node SET heartbeat_at = r.now, heartbeat_intervals = {_INTERVALS},"
            " lease_expires_at = r.now + %(lease)s * INTERVAL '1 second',"
            f" state = {_STATE},"
            " clock_offset = %(offset)s, busy = %(busy)s, busy_threads = %(threads)s, rss = %(rss)s,"
            " counters = %(counters)s"
            " FROM (SELECT timers_now() AS now OFFSET 0) r"
            f" WHERE id = %(node)s AND state IN {LIVE}"
            f" RETURNING timers_now(), wish, {LEADS}, {IS_VIRTUAL}",
            {
                "lease": lease,
                "draining": report.draining,
                "ready": report.ready,
                "offset": report.clock_offset,
                "busy": report.busy_threads + report.busy_async,
                "threads": report.busy_threads,
                "rss": report.rss,
                "counters": json.dumps(report.counters),
                "node": node_id,
            },
        )
        row = cursor.fetchone()
    if row is None:
        return None
    renewed = Renewed(*row)
    if renewed.leads:
        renew(node_id)
    return renewed


def set_draining(node_id: int) -> None:
    """Mark the node as draining: it claims nothing, and ends what it has."""
    with _waiting_for_nobody():
        Node.objects.filter(id=node_id, state__in=Node.LIVE).update(state=Node.State.DRAINING)


@contextmanager
def _waiting_for_nobody() -> Iterator[None]:
    """Open a transaction that waits for no standby, and only briefly for a lock: a node that ends must not hang in it.

    What it writes may get lost without harm: until the lease expires, others then take the node for alive.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = 'local'")
            cursor.execute("SET LOCAL lock_timeout = '3s'")
        yield


def set_stopped(node_id: int, name: str) -> None:
    """Mark the node as stopped in an orderly way."""
    with _waiting_for_nobody():
        now = clock.now()
        leave(node_id)
        changed = Node.objects.filter(id=node_id, state__in=Node.LIVE).update(
            state=Node.State.STOPPED, ended_at=now, busy=0, busy_threads=0
        )
        if changed:
            record("node stopped", name, "", now)


@dataclass(frozen=True, slots=True)
class Peer:
    """A live node that may run executions."""

    node_id: int
    workers: int
    """Number of its worker processes."""
    handlers: frozenset[str]
    claims: bool
    """Whether it claims now: it has started, and neither drains nor is in standby."""


def live_peers(partition: str | None = None) -> list[Peer]:
    """Return the live nodes that may run executions, by rising id, including the calling one.

    Args:
        partition: only nodes of that slice of the cluster; None: of all.
    """
    live = Node.objects.filter(
        state__in=Node.LIVE, allow_execution=True, lease_expires_at__gt=RawSQL("timers_now()", ())
    )
    if partition is not None:
        live = live.filter(partition=partition)
    return [
        Peer(node_id, workers, frozenset(handlers), state == Node.State.ACTIVE)
        for node_id, workers, handlers, state in live.order_by("id").values_list("id", "workers", "handlers", "state")
    ]


def handlers_elsewhere(known_here: Iterable[str], peers: Iterable[Peer] | None = None) -> list[str]:
    """Return the handlers that live nodes can run and this process does not know; their work is left for those nodes.

    Args:
        known_here: handlers that this process knows.
        peers: the live nodes, if already read; None: those of all partitions.
    """
    found = {name for peer in (live_peers() if peers is None else peers) for name in peer.handlers}
    return sorted(found.difference(known_here))


def position_among(peers: Sequence[Peer], node_id: int, worker: int) -> tuple[int, int]:
    """Return the position of a worker among all workers that claim now, from 0, and their number.

    Args:
        peers: the live nodes.
        node_id: the worker's node; it counts even where it does not claim yet, or is missing.
        worker: number of the worker in its node, from 1.
    """
    own = next((peer.workers for peer in peers if peer.node_id == node_id), 0) or 1
    others = [peer for peer in peers if peer.claims and peer.node_id != node_id]
    before = sum(peer.workers for peer in others if peer.node_id < node_id)
    return before + (worker - 1) % own, own + sum(peer.workers for peer in others)
