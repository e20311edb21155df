"""Nodes: registration, heartbeat and lease, drain and stop. (The verdict on others is in death.py.)"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models.expressions import RawSQL

from timers import clock
from timers.exceptions import NotAllowedNow
from timers.lifecycle.clock_step import IS_VIRTUAL
from timers.lifecycle.death import declare_dead, gone_nodes
from timers.lifecycle.events import record
from timers.models import Node
from timers.schedules.zones import edition
from timers.server.prepare import is_pooled


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
    """Seconds that it claims timers ahead of their instants."""
    listens: bool = False
    """Whether it is woken by NOTIFY."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Those that are to be the same everywhere; see conf.shared_settings."""
    wish: str = ""
    """What was asked of the incarnation before, in the same process."""


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
    """It takes no work, and ends what it has."""


@dataclass(frozen=True, slots=True)
class Renewed:
    """The answer to a heartbeat."""

    now: datetime
    """The database's."""
    wish: str
    """What a person asks of this incarnation: see Node.Wish."""
    is_virtual: bool = False
    """Whether `now` is a test's."""


def register(node: Registration) -> Node:
    """Write the row of a new incarnation.

    An earlier incarnation of the same name that is surely gone is declared dead on the spot: a restart after kill -9
    need not wait for its own lease. Raises NotAllowedNow when a node of that name is alive.
    """
    earlier, gone = gone_nodes(node.host).get(node.name, (None, False))
    if earlier is not None:
        if not gone:
            raise NotAllowedNow(
                f"a node named {node.name!r} is alive (host {earlier.host}, pid {earlier.pid}); "
                "choose another --name, or wait until it is stopped"
            )
        declare_dead(earlier, f"its name came back as pid {node.pid} on {node.host}")
    now = clock.now()
    pooled = is_pooled(connection)
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
            # Behind a pooler the lock would be a stranger's session's, and no notification comes.
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
            wish=node.wish,
        )
    except IntegrityError:
        raise NotAllowedNow(f"a node named {node.name!r} started at the same moment; choose another --name") from None
    capacity = f"{row.workers} workers, {row.threads} threads, {row.async_slots} async slots"
    record("node joined", row.name, f"pid {row.pid} on {row.host}, {capacity}", now)
    return row


def free_name(wanted: str, host: str) -> str:
    """`wanted`, or the first of wanted-2, wanted-3, ... that no live node has."""
    taken = {name for name, (_, gone) in gone_nodes(host).items() if not gone}
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name


def beat(node_id: int, lease: float, report: Beat) -> Renewed | None:
    """Renew the lease and write the report; None when the node was declared dead."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE timers_node SET heartbeat_at = timers_now(),"
            " lease_expires_at = timers_now() + %s * INTERVAL '1 second',"
            " state = CASE WHEN state = 'standby' THEN state WHEN %s THEN 'draining' ELSE 'active' END,"
            " clock_offset = %s, busy = %s, busy_threads = %s, rss = %s, counters = %s"
            " WHERE id = %s AND state IN ('starting', 'active', 'standby', 'draining')"
            f" RETURNING timers_now(), wish, {IS_VIRTUAL}",
            (
                lease,
                report.draining,
                report.clock_offset,
                report.busy_threads + report.busy_async,
                report.busy_threads,
                report.rss,
                json.dumps(report.counters),
                node_id,
            ),
        )
        row = cursor.fetchone()
    return None if row is None else Renewed(*row)


def set_draining(node_id: int) -> None:
    """The node claims no more and ends what it holds."""
    with _waiting_for_nobody():
        Node.objects.filter(id=node_id, state__in=Node.LIVE).update(state=Node.State.DRAINING)


@contextmanager
def _waiting_for_nobody() -> Iterator[None]:
    """A transaction that waits for no standby, and only shortly for a lock: a node that ends must not hang in it.

    What it writes is news and no promise: until the lease ends, others take the node for alive without it.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = 'local'")
            cursor.execute("SET LOCAL lock_timeout = '3s'")
        yield


def set_stopped(node_id: int, name: str) -> None:
    """The node has ended in order."""
    with _waiting_for_nobody():
        now = clock.now()
        changed = Node.objects.filter(id=node_id, state__in=Node.LIVE).update(
            state=Node.State.STOPPED, ended_at=now, busy=0, busy_threads=0
        )
        if changed:
            record("node stopped", name, "", now)


def handlers_elsewhere(known_here: Sequence[str], partition: str | None = None) -> list[str]:
    """Handlers that live nodes can run and this process does not know: their timers are left for those nodes.

    `partition`: only nodes of that slice of the cluster; None: of all.
    """
    here = frozenset(known_here)
    live = Node.objects.filter(
        state__in=Node.LIVE, allow_execution=True, lease_expires_at__gt=RawSQL("timers_now()", ())
    )
    if partition is not None:
        live = live.filter(partition=partition)
    return sorted({name for names in live.values_list("handlers", flat=True) for name in names} - here)
