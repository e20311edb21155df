"""The cluster: its nodes as the engine judges them, what is wrong with it, and one sentence that says how it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from django.db import connection

from timers.insights.counts import Count, Waits
from timers.insights.rates import Rates
from timers.insights.words import milliseconds, plural, span
from timers.models import ClusterPause
from timers.payload import UnreadablePayload, decode

CLOCK_OFFSET_ALARM: Final = 0.25
"""Seconds that a node's clock may differ from the database's before it is told."""
MISSED_BEATS: Final = 2
"""So many heartbeats late, a node is suspect."""
GHOSTS_FOR: Final = timedelta(hours=24)
"""How long the last incarnation of a node stays in the list after its end."""
MISSED_FOR: Final = timedelta(hours=1)
"""How long after its death a node is missed in the sentence."""
START_A_NODE: Final = "python manage.py runtimerworker"

Level = Literal["well", "attention", "trouble"]


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node, now. Times in seconds."""

    id: int
    name: str
    host: str
    pid: int
    partition: str
    state: str
    """The row's state, but suspect when two beats are missing, and dead once the lease is over."""
    reason: str
    allow_execution: bool
    started_at: datetime
    ended_at: datetime | None
    heartbeat_at: datetime
    heartbeat_age: float
    heartbeat_interval: float
    lease_left: float
    clock_offset: float
    workers: int
    slots: int
    busy: int
    held: int
    """Executions in its living claims: running, or waiting in a worker for their instant."""
    claims: int
    counters: dict[str, Any]
    version: str
    zone_rules: str
    """Edition of its time zone rules, such as 2026b; unknown, or empty where the node did not say."""
    rss: int | None
    """Bytes."""
    incarnation: UUID
    mode: str
    roles: list[str]
    handlers: list[str]
    lease_expires_at: datetime
    wish: str
    """What a person asks of it: drain, stop, or empty; `state` says how far it has followed."""
    wish_reason: str
    wished_by: str
    wished_at: datetime | None

    @property
    def alive(self) -> bool:
        """Whether the node's lease is valid."""
        return self.state not in ("dead", "stopped")

    def is_missed(self, now: datetime) -> bool:
        """Whether it died, and not long ago."""
        return self.state == "dead" and (self.ended_at is None or now - self.ended_at < MISSED_FOR)

    @property
    def clock_offset_ms(self) -> float:
        """Milliseconds that the node's clock is ahead of the database's."""
        return self.clock_offset * 1000

    @property
    def clock_is_off(self) -> bool:
        """Whether its clock differs from the database's by more than the alarm allows."""
        return abs(self.clock_offset) > CLOCK_OFFSET_ALARM


@dataclass(frozen=True, slots=True)
class Pause:
    """The pause of the whole cluster."""

    at: datetime
    by: str
    reason: str

    @property
    def words(self) -> str:
        """Since when, by whom and why."""
        by, why = f" by {self.by}" if self.by else "", f": {self.reason}" if self.reason else ""
        return f"since {self.at:%Y-%m-%d %H:%M:%S} UTC{by}{why}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """All nodes: the living ones, and those that ended lately and have not come back under their name."""

    nodes: tuple[NodeView, ...]
    pause: Pause | None = None
    """While there is one, nothing starts anywhere."""

    @property
    def alive(self) -> tuple[NodeView, ...]:
        """The nodes whose lease is valid."""
        return tuple(node for node in self.nodes if node.alive)

    @property
    def slots(self) -> int:
        """How many executions the living nodes can run at once."""
        return sum(node.slots for node in self.alive)

    @property
    def busy(self) -> int:
        """How many they are running, as of their last heartbeats."""
        return sum(node.busy for node in self.alive)

    @property
    def held(self) -> int:
        """How many executions all nodes hold."""
        return sum(node.held for node in self.nodes)


@dataclass(frozen=True, slots=True)
class Concern:
    """Something about the cluster that a person should know or do."""

    level: Level
    text: str
    command: str = ""
    """What to type, where one command mends it."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """How the cluster is, in words; the worst comes first."""

    level: Level
    text: str


_COLUMNS: Final = """
id, name, host, pid, partition, state, state_reason, allow_execution, started_at, ended_at, heartbeat_at,
heartbeat_interval, lease_expires_at, clock_offset, workers, slots, busy, counters::text AS counters, version,
zone_rules, rss, incarnation, mode, roles, handlers, wish, wish_reason, wished_by, wished_at
"""
# The newest incarnation of each name. The table is small: nodes long gone are pruned.
_NODES: Final = f"""
SELECT n.*, COALESCE(c.held, 0) AS held, COALESCE(c.claims, 0) AS claims
FROM (SELECT DISTINCT ON (name) {_COLUMNS}
      FROM timers_node ORDER BY name, (state IN ('starting', 'active', 'standby', 'draining')) DESC, id DESC) n
LEFT JOIN (SELECT node_id, sum(cardinality(executions)) AS held, count(*) AS claims
           FROM timers_claim GROUP BY node_id) c ON c.node_id = n.id
WHERE n.state IN ('starting', 'active', 'standby', 'draining') OR n.ended_at > %(since)s OR c.held > 0
ORDER BY n.name LIMIT 1000
"""


_NODE: Final = f"""
SELECT n.*, COALESCE(c.held, 0) AS held, COALESCE(c.claims, 0) AS claims
FROM (SELECT {_COLUMNS} FROM timers_node WHERE id = %(id)s) n
CROSS JOIN (SELECT sum(cardinality(executions)) AS held, count(*) AS claims
            FROM timers_claim WHERE node_id = %(id)s) c
"""
_NEWEST: Final = """
SELECT id FROM timers_node WHERE name = %(name)s
ORDER BY (state IN ('starting', 'active', 'standby', 'draining')) DESC, id DESC LIMIT 1
"""


def cluster(now: datetime) -> Cluster:
    """The nodes of all partitions at `now`, by name, and whether all of it is paused."""
    rows = _rows(_NODES, {"since": now - GHOSTS_FOR})
    pause = ClusterPause.objects.first()
    return Cluster(
        tuple(_node(row, now) for row in rows), None if pause is None else Pause(pause.at, pause.by, pause.reason)
    )


def node(of: int | str, now: datetime) -> NodeView | None:
    """The node of that id, or the living one of that name (else the one that ended last); None: there is none."""
    known = [{"id": of}] if isinstance(of, int) else _rows(_NEWEST, {"name": of})
    rows = _rows(_NODE, known[0]) if known else []
    return _node(rows[0], now) if rows else None


def _rows(statement: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def concerns(cluster: Cluster) -> list[Concern]:
    """What is wrong with the cluster, the worst first; empty when nothing is."""
    found: list[Concern] = []
    alive = cluster.alive
    if cluster.pause is not None:
        found.append(
            Concern("attention", f"The cluster is paused {cluster.pause.words}. Nothing starts until resumed.")
        )
    if not alive:
        found.append(Concern("trouble", "No node is alive: no timer fires. Start one:", START_A_NODE))
    elif not any(node.allow_execution and node.state in ("active", "suspect", "starting") for node in alive):
        found.append(Concern("trouble", "No living node takes timers: all are draining or on standby."))
    for node in cluster.nodes:
        if node.state == "suspect":
            found.append(
                Concern(
                    "attention",
                    f"Node {node.name} has missed heartbeats for {span(node.heartbeat_age)};"
                    f" it counts as dead in {span(max(node.lease_left, 0))}.",
                )
            )
        if not node.alive and node.held:
            text = f"Node {node.name} is {node.state} and {plural(node.held, 'execution')} of it wait to be rescued."
            found.append(Concern("attention", text))
        if node.alive and node.clock_is_off:
            which = "ahead of" if node.clock_offset > 0 else "behind"
            found.append(
                Concern(
                    "attention",
                    f"The clock of node {node.name} is {span(abs(node.clock_offset))} {which} the database's."
                    " Timers still fire by the database's clock; set up NTP on that machine.",
                )
            )
    versions = sorted({node.version for node in alive})
    if len(versions) > 1:
        found.append(Concern("attention", f"The nodes run different versions: {', '.join(versions)}."))
    return found


def sentence(cluster: Cluster, rates: Rates, waits: Waits, overdue: Count, now: datetime) -> Sentence:
    """One sentence on how the cluster is."""
    alive = len(cluster.alive)
    known = alive + sum(node.is_missed(now) for node in cluster.nodes)
    nodes = f"{alive} of {plural(known, 'node')} alive" if alive < known else f"{plural(alive, 'node')} alive"
    work = f"{plural(round(rates.per_minute), 'fire')} in the last minute"
    if rates.lateness_p99_ms is not None:
        work += f", 99 % of this hour's began within {milliseconds(rates.lateness_p99_ms)}"
    said = "; ".join([nodes, work, f"{waits.failed} failed and waiting for you" if waits.failed else "nothing failed"])
    if cluster.pause is not None:
        return Sentence("attention", f"Paused {cluster.pause.words}. {_overdue(overdue)} {said}.".replace("  ", " "))
    if not alive:
        return Sentence("trouble", f"Nothing fires: no node is alive. {_overdue(overdue)}".strip())
    if overdue:
        return Sentence("trouble", f"{_overdue(overdue)} {said}.")
    if waits.failed or alive < known or any(node.state == "suspect" for node in cluster.nodes):
        return Sentence("attention", f"{said}.")
    return Sentence("well", f"All well: {said}.")


def judged_state(
    state: str, heartbeat_at: datetime, heartbeat_interval: float, lease_expires_at: datetime, now: datetime
) -> str:
    """The state of a node's row as it must be read at `now`: a node that cannot beat cannot say so itself."""
    if state in ("dead", "stopped"):
        return state
    if lease_expires_at < now:
        return "dead"
    return "suspect" if (now - heartbeat_at).total_seconds() > MISSED_BEATS * heartbeat_interval else state


def _overdue(overdue: Count) -> str:
    if not overdue:
        return ""
    return f"{overdue} {'timer is' if overdue.value == 1 else 'timers are'} overdue."


def _node(row: dict[str, Any], now: datetime) -> NodeView:
    age = (now - row["heartbeat_at"]).total_seconds()
    lease_expires_at = row["lease_expires_at"]
    state = judged_state(row.pop("state"), row["heartbeat_at"], row["heartbeat_interval"], lease_expires_at, now)
    try:
        counters = decode(row.pop("counters"))
    except UnreadablePayload:
        counters = {}
    reason = row.pop("state_reason")
    return NodeView(
        **row,
        state=state,
        reason=reason,
        heartbeat_age=max(age, 0.0),
        lease_left=(lease_expires_at - now).total_seconds(),
        counters=counters if isinstance(counters, dict) else {},
    )
