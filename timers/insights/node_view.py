"""NodeView: a node as the engine judges it; read by name, by id, or all."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

from timers import conf
from timers.database import connection
from timers.domain.payload import UnreadablePayload, decode
from timers.domain.suspicion import phi
from timers.insights.words import plural
from timers.models.crash_lock import CRASH_LOCK_CLASS, LOCK_IS_FREE

CLOCK_OFFSET_ALARM: Final = 0.25
"""Seconds by which a node's clock may differ from the database clock without a concern."""
MISSED_BEATS: Final = 2
"""Number of missed heartbeats after which a node whose crash lock is free is dead."""
GHOSTS_FOR: Final = timedelta(hours=24)
"""How long the last incarnation of a node is listed after its end."""
MISSED_FOR: Final = timedelta(hours=1)
"""How long after its death a node is reported as missing in the summary."""


class Usage(Protocol):
    """Used and available slots, of one node or of all."""

    @property
    def threads(self) -> int: ...
    @property
    def async_slots(self) -> int: ...
    @property
    def slots(self) -> int: ...
    @property
    def busy_threads(self) -> int: ...
    @property
    def busy_async(self) -> int: ...
    @property
    def busy(self) -> int: ...


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node, now. Times are in seconds."""

    id: int
    name: str
    host: str
    machine: str
    """Distinguishes machines with the same host name; empty: unknown."""
    pid: int
    partition: str
    state: str
    """State of the row; suspect if phi has reached TIMERS_PHI_THRESHOLD; dead if the lease has expired or the node's
    crash lock is free."""
    reason: str
    allow_execution: bool
    started_at: datetime
    ended_at: datetime | None
    heartbeat_at: datetime
    heartbeat_age: float
    heartbeat_interval: float
    phi: float | None
    """How unusual its silence is, given its own heartbeats (domain/suspicion.py); None: it has ended."""
    lease_left: float
    clock_offset: float
    workers: int
    threads: int
    """Number of synchronous handlers that it can run at once. A node that has ended has no slots of any kind."""
    async_slots: int
    """Number of async handlers and HTTP calls that it can run at once."""
    slots: int
    """Sum of threads and async_slots."""
    busy_threads: int
    """Executions that ran in a thread at its last heartbeat and that it still has claimed."""
    busy_async: int
    """Executions that ran on an event loop at its last heartbeat and that it still has claimed."""
    held: int
    """Executions in its claims, running or waiting in a worker for their instant; 0 for a node that has ended."""
    left_behind: int
    """Executions in the claims of a node that has ended; they wait for their rescue."""
    claims: int
    counters: dict[str, Any]
    version: str
    zone_rules: str
    """Edition of its time zone rules, such as 2026b; "unknown", or empty if the node did not report it."""
    rss: int | None
    """Resident memory in bytes."""
    incarnation: UUID
    mode: str
    roles: list[str]
    handlers: list[str]
    lease_expires_at: datetime
    config_hash: str
    """Digest of settings, version, time zone rules and handlers, equal on nodes with equal configuration. Empty for a
    node of an earlier version."""
    settings: dict[str, Any]
    """Settings that must be equal everywhere; secrets as digests."""
    wish: str
    """State that a person requested: drain, stop, or empty. `state` is how far the node has followed."""
    wish_reason: str
    wished_by: str
    wished_at: datetime | None
    precedence: int
    on_stop: str
    failback: str
    epoch: int | None
    """Epoch of its leadership; None: it does not lead its partition."""
    shares_name: bool
    """Whether other nodes in a live state have its name."""

    @property
    def leads(self) -> bool:
        """Whether it leads its partition."""
        return self.alive and self.epoch is not None

    @property
    def phi_words(self) -> str:
        """Text that says how suspect it is; empty: it is not."""
        return f"(phi {self.phi or 0:.1f})" if self.state == "suspect" else ""

    @property
    def mode_words(self) -> str:
        """Its mode and leadership as text: backup 1, leads (epoch 7)."""
        mode = f"{self.mode} {self.precedence}" if self.precedence else self.mode
        return f"{mode}, leads (epoch {self.epoch})" if self.leads else mode

    @property
    def label(self) -> str:
        """Its name; with its id if other live nodes have the name too."""
        return f"{self.name} (node {self.id})" if self.shares_name else self.name

    @property
    def alive(self) -> bool:
        """Whether the node's lease is valid."""
        return self.state not in ("dead", "stopped")

    @property
    def busy(self) -> int:
        """Number of running executions, in threads and on event loops."""
        return self.busy_threads + self.busy_async

    @property
    def usage(self) -> str:
        """Used slots as text: 8 of 8 threads, 0 of 200 async slots."""
        return usage_words(self)

    def is_missed(self, now: datetime) -> bool:
        """Whether it died recently."""
        return self.state == "dead" and (self.ended_at is None or now - self.ended_at < MISSED_FOR)

    @property
    def clock_offset_ms(self) -> float:
        """Milliseconds by which the node's clock is ahead of the database clock."""
        return self.clock_offset * 1000

    @property
    def clock_is_off(self) -> bool:
        """Whether its clock differs from the database clock by more than the alarm threshold."""
        return abs(self.clock_offset) > CLOCK_OFFSET_ALARM


_COLUMNS: Final = """
id, name, host, machine, pid, partition, state, state_reason, allow_execution, started_at, ended_at, heartbeat_at,
heartbeat_interval, heartbeat_intervals, lease_expires_at, clock_offset, workers, threads, async_slots, slots, busy,
busy_threads, crash_lock, counters::text AS counters, version,
zone_rules, config_hash, settings::text AS settings, rss,
incarnation, mode, precedence, on_stop, failback, roles, handlers, wish, wish_reason, wished_by,
wished_at, (SELECT l.epoch FROM timers_leadership l WHERE l.node_id = timers_node.id) AS epoch,
state IN ('starting', 'active', 'standby', 'draining') AND EXISTS (
    SELECT 1 FROM timers_node o WHERE o.name = timers_node.name AND o.id <> timers_node.id
                                  AND o.state IN ('starting', 'active', 'standby', 'draining')) AS shares_name
"""
# Whether a node that looks alive has crashed, by the rule by which other nodes declare it dead: two heartbeats are
# missing and its crash lock is free. Shortly after a start of the server, every node's heartbeats are missing.
_CRASHED: Final = f"""
CASE WHEN n.state IN ('starting', 'active', 'standby', 'draining')
      AND n.heartbeat_at < %(now)s - {MISSED_BEATS} * n.heartbeat_interval * INTERVAL '1 second'
      AND clock_timestamp() - pg_postmaster_start_time() > n.lease_expires_at - n.heartbeat_at
     THEN {LOCK_IS_FREE} ELSE false END
"""
# All live incarnations of each name, or the one that ended last. The table is small: old incarnations are pruned.
_NODES: Final = f"""
SELECT n.*, {_CRASHED} AS crashed, COALESCE(c.held, 0) AS in_claims, COALESCE(c.claims, 0) AS claims
FROM (SELECT {_COLUMNS} FROM timers_node
      WHERE state IN ('starting', 'active', 'standby', 'draining')
         OR id IN (SELECT DISTINCT ON (name) id FROM timers_node
                   ORDER BY name, (state IN ('starting', 'active', 'standby', 'draining')) DESC, id DESC)) n
LEFT JOIN (SELECT node_id, sum(cardinality(executions)) AS held, count(*) AS claims
           FROM timers_claim GROUP BY node_id) c ON c.node_id = n.id
WHERE n.state IN ('starting', 'active', 'standby', 'draining') OR n.ended_at > %(since)s OR c.held > 0
ORDER BY n.name, n.id LIMIT 1000
"""


_BY_ID: Final = f"""
SELECT n.*, {_CRASHED} AS crashed, COALESCE(c.held, 0) AS in_claims, COALESCE(c.claims, 0) AS claims
FROM (SELECT {_COLUMNS} FROM timers_node WHERE id = ANY(%(ids)s::int[])) n
CROSS JOIN LATERAL (SELECT sum(cardinality(executions)) AS held, count(*) AS claims
                    FROM timers_claim WHERE node_id = n.id) c
"""
_NEWEST: Final = """
SELECT id FROM timers_node WHERE name = %(name)s
ORDER BY (state IN ('starting', 'active', 'standby', 'draining')) DESC, id DESC LIMIT 1
"""


def newest_nodes(now: datetime) -> tuple[NodeView, ...]:
    """Return the live nodes of all partitions, and those that ended recently or left claims behind, by name and id."""
    return tuple(_node(row, now) for row in _rows(_NODES, {"since": now - GHOSTS_FOR, "now": now}))


def node(of: int | str, now: datetime) -> NodeView | None:
    """Return the node with that id, or the live one with that name that started last (or the one that ended last).

    None if there is none.
    """
    known = [of] if isinstance(of, int) else [row["id"] for row in _rows(_NEWEST, {"name": of})]
    return next(iter(nodes_by_id(known, now).values()), None)


def nodes_by_id(ids: Collection[int], now: datetime) -> dict[int, NodeView]:
    """Return the nodes with those ids that exist, alive or not."""
    rows = _rows(_BY_ID, {"ids": list(ids), "now": now}) if ids else []
    return {row["id"]: _node(row, now) for row in rows}


def _rows(statement: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {**params, "lock_class": CRASH_LOCK_CLASS})
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def usage_words(of: Usage) -> str:
    """Format the used slots by kind: 8 of 8 threads, 0 of 200 async slots; "0" if there are no slots."""
    if of.slots > of.threads + of.async_slots:
        # A node of an earlier version does not report how many of its slots are threads.
        return f"{of.busy} of {of.slots} slots"
    kinds = ((of.busy_threads, of.threads, "thread"), (of.busy_async, of.async_slots, "async slot"))
    return ", ".join(f"{busy} of {plural(most, kind)}" for busy, most, kind in kinds if most) or str(of.busy)


def _judged_state(row: dict[str, Any], now: datetime) -> str:
    """Return the state of a node's row as of `now`: a node that cannot send heartbeats cannot report it itself."""
    state: str = row["state"]
    if state in ("dead", "stopped"):
        return state
    if row["crashed"] or row["lease_expires_at"] < now:
        return "dead"
    return "suspect" if row["phi"] >= conf.current().phi_threshold else state


def _object(text: str) -> dict[str, Any]:
    """Parse a JSON column; empty if it cannot be parsed."""
    try:
        found = decode(text)
    except UnreadablePayload:
        return {}
    return found if isinstance(found, dict) else {}


def _node(row: dict[str, Any], now: datetime) -> NodeView:
    age = (now - row["heartbeat_at"]).total_seconds()
    pause = conf.current().heartbeat_pause
    row["phi"] = phi(age, row.pop("heartbeat_intervals"), row["heartbeat_interval"], pause)
    row["state"] = _judged_state(row, now)
    alive = row["state"] not in ("dead", "stopped")
    row["phi"] = row["phi"] if alive else None
    del row["crashed"], row["crash_lock"]
    counters, settings = _object(row.pop("counters")), _object(row.pop("settings"))
    in_claims, busy = row.pop("in_claims"), row.pop("busy")
    held = in_claims if alive else 0
    # The last heartbeat's report may be older than the claims: what is no longer claimed is not running.
    busy_async = min(busy - row["busy_threads"], held)
    row["busy_threads"] = min(row["busy_threads"], held)
    if not alive:
        row |= {"threads": 0, "async_slots": 0, "slots": 0}
        counters.pop("workers", None)
    reason = row.pop("state_reason")
    return NodeView(
        **row,
        busy_async=min(busy_async, held - row["busy_threads"]),
        held=held,
        left_behind=in_claims - held,
        reason=reason,
        heartbeat_age=max(age, 0.0),
        lease_left=(row["lease_expires_at"] - now).total_seconds(),
        counters=counters,
        settings=settings,
    )
