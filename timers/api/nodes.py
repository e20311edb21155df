"""Routes of nodes and the cluster: inspect, drain, activate, stop, pause, resume. For keys of all groups only."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import BaseModel, ConfigDict, Field

from timers import clock
from timers.api.authentication import caller
from timers.api.executions import ReasonBody
from timers.api.paging import Page, PageQuery, cursor_after, position
from timers.api.problems import not_found
from timers.api.route import route
from timers.control.cluster_pause import pause_cluster, pause_partition, resume_cluster, resume_partition
from timers.control.leadership import hand_over, release_lead
from timers.control.nodes import activate_node, drain_node, forget_node, stop_node
from timers.database import transaction
from timers.insights.cluster import cluster
from timers.insights.drift import Drift
from timers.insights.health import concerns
from timers.insights.node_view import newest_nodes
from timers.insights.node_view import node as view_of

router = Router(tags=["cluster"])
NODE: Final = "/nodes/{node}"
PARTITION: Final = "/partitions/{partition}"
_DIGITS: Final = 18


class NodeAnswer(BaseModel):
    """One incarnation of a node. Durations are in seconds."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(description="Of this start; a restarted process has another.")
    name: str
    host: str
    pid: int
    partition: str
    state: str = Field(
        description="starting, active, standby, draining, stopped; suspect when phi has come to TIMERS_PHI_THRESHOLD, "
        "dead once its lease is over."
    )
    reason: str
    wish: Literal["", "drain", "stop"] = Field(
        description="What a person asks of it. It follows with its next heartbeat; state says how far it has come."
    )
    wish_reason: str
    wished_by: str
    wished_at: datetime | None
    started_at: datetime
    ended_at: datetime | None
    heartbeat_at: datetime
    heartbeat_age: float
    heartbeat_interval: float
    phi: float | None = Field(
        description="How unusual its silence is, by its own heartbeats: 8 is one mistake in 100 million. Null: it has "
        "ended."
    )
    lease_expires_at: datetime
    clock_offset: float = Field(description="How far its clock is ahead of the database's.")
    workers: int
    threads: int = Field(description="Plain handlers that it can run at once; 0 when it has ended.")
    async_slots: int = Field(description="Async handlers and HTTP calls that it can run at once; 0 when it has ended.")
    slots: int = Field(description="The sum of threads and async_slots.")
    busy: int = Field(description="Executions that run: the sum of busy_threads and busy_async.")
    busy_threads: int
    busy_async: int
    held: int = Field(description="Executions in its claims: running, or waiting for their instant.")
    left_behind: int = Field(description="Of a node that has ended: executions that wait for their rescue.")
    counters: dict[str, Any]
    version: str
    zone_rules: str
    config_hash: str = Field(
        description="A digest of settings, version, time zone rules and handlers: the same on nodes that are alike."
    )
    rss: int | None = Field(description="Bytes of memory.")
    mode: str = Field(description="distributed, exclusive or backup.")
    precedence: int = Field(description="The lowest live one leads; 0 for all but backups.")
    on_stop: str = Field(
        description="handover or hold: whether a clean stop of the leader lets another node take over."
    )
    failback: str = Field(description="auto or manual: whether it gives the lead back to a lower precedence.")
    leads: bool = Field(description="Whether it leads its partition.")
    epoch: int | None = Field(description="Of its leadership; rises with each change of the leader.")
    roles: list[str]
    handlers: list[str]


class HandoverBody(ReasonBody):
    """The node that takes the lead, and the reason."""

    to: str = Field(
        default="", max_length=200, description="The name of a node; empty: the next one by precedence that is ready."
    )


class PauseAnswer(BaseModel):
    """The pause of the whole cluster."""

    model_config = ConfigDict(from_attributes=True)

    at: datetime
    by: str
    reason: str


class PartitionPauseAnswer(PauseAnswer):
    """The pause of one partition."""

    partition: str


class LeadershipAnswer(BaseModel):
    """The leadership of a partition that needs a leader."""

    model_config = ConfigDict(from_attributes=True)

    partition: str
    node: str = Field(description="The leader; empty: there is none.")
    node_id: int | None
    epoch: int = Field(description="Rises with each change of the leader.")
    since: datetime | None
    expires_at: datetime | None = Field(description="The end of the leader's lease.")
    is_led: bool = Field(description="Whether the leader is alive.")
    is_passive: bool = Field(description="Whether its nodes are an exclusive one and backups.")
    has_lead_groups: bool = Field(description="Whether it has groups with placement lead.")
    is_held: bool = Field(description="Whether the leader has stopped and keeps the lead.")
    is_pinned: bool = Field(description="Whether a person chose the leader: no automatic failback.")


class ConcernAnswer(BaseModel):
    """A problem of the cluster that an operator should know about or act on."""

    model_config = ConfigDict(from_attributes=True)

    level: Literal["well", "attention", "trouble"]
    text: str
    command: str = Field(description="What to type, where one command mends it.")


class ValueAnswer(BaseModel):
    """A value and the nodes that have it."""

    value: str = Field(description="Of a handler known or missing; of a secret setting always empty.")
    nodes: list[str]


class DriftAnswer(BaseModel):
    """A setting, version or handler that differs among the live nodes of a partition."""

    partition: str
    kind: Literal["setting", "version", "zone_rules", "handler"]
    name: str = Field(description="Of the setting or the handler.")
    values: list[ValueAnswer] = Field(description="First the value that most nodes have.")
    odd: list[str] = Field(description="The nodes that differ from the majority, or that the handler is missing on.")


class ClusterAnswer(BaseModel):
    """Overview of the cluster."""

    at: datetime
    alive: int = Field(description="Nodes whose lease is valid.")
    nodes: int
    threads: int = Field(description="Plain handlers that the living nodes can run at once.")
    async_slots: int = Field(description="Async handlers and HTTP calls that the living nodes can run at once.")
    slots: int = Field(description="The sum of threads and async_slots.")
    busy: int
    busy_threads: int
    busy_async: int
    held: int = Field(description="Executions that the living nodes hold.")
    pause: PauseAnswer | None = Field(description="While there is one, nothing starts anywhere.")
    partition_pauses: list[PartitionPauseAnswer] = Field(description="Of partitions that are paused by themselves.")
    leaderships: list[LeadershipAnswer] = Field(description="Of the partitions that need a leader.")
    drift: list[DriftAnswer] = Field(
        description="What is not the same on all living nodes of a partition: settings, versions, time zone rules, and "
        "handlers among nodes of the same roles."
    )
    concerns: list[ConcernAnswer] = Field(description="What is wrong, the worst first.")
    in_flight: list[str] = Field(default=[], description="Of a pause: executions that had begun.")


@route(router, "GET", "/nodes", scope="read", answer=Page[NodeAnswer], all_groups=True)
def list_nodes(request: HttpRequest, query: Query[PageQuery]) -> Page[NodeAnswer]:
    """List the nodes by name: live ones and those that ended recently."""
    begin = position(request, query)
    # Sorted here: the database's collation may differ from Python's comparison.
    nodes = sorted(newest_nodes(clock.now()), key=lambda each: (each.name, each.id))
    found = [each for each in nodes if begin is None or [each.name, each.id] > begin]
    page = found[: query.limit]
    return Page(
        items=[NodeAnswer.model_validate(each) for each in page],
        next=cursor_after(request, [page[-1].name, page[-1].id]) if len(found) > len(page) else None,
    )


@route(router, "GET", NODE, scope="read", answer=NodeAnswer, all_groups=True)
def read_node(request: HttpRequest, node: str) -> NodeAnswer:
    """Read one node by its id or name. A name selects the live incarnation that started last, or the
    one that ended last.
    """
    return _told(_meant(node))


@route(router, "POST", f"{NODE}/drain", scope="operate", answer=NodeAnswer, all_groups=True)
def drain(request: HttpRequest, node: str, body: ReasonBody = ReasonBody()) -> NodeAnswer:
    """Drain a node: it takes no new work, finishes what runs, and keeps running."""
    return _told(drain_node(_meant(node), reason=body.reason, actor=caller(request).actor).pk)


@route(router, "POST", f"{NODE}/activate", scope="operate", answer=NodeAnswer, all_groups=True)
def activate(request: HttpRequest, node: str, body: ReasonBody = ReasonBody()) -> NodeAnswer:
    """Let a drained node take work again."""
    return _told(activate_node(_meant(node), reason=body.reason, actor=caller(request).actor).pk)


@route(router, "POST", f"{NODE}/stop", scope="operate", answer=NodeAnswer, all_groups=True)
def stop(request: HttpRequest, node: str, body: ReasonBody = ReasonBody()) -> NodeAnswer:
    """Drain a node and end its process. This cannot be revoked."""
    return _told(stop_node(_meant(node), reason=body.reason, actor=caller(request).actor).pk)


@route(router, "POST", f"{NODE}/forget", scope="operate", answer=NodeAnswer, all_groups=True)
def forget(request: HttpRequest, node: str, body: ReasonBody = ReasonBody()) -> NodeAnswer:
    """Remove a node that has ended: one incarnation by its id, or all by the name. Returns the removed node."""
    with transaction.atomic():
        gone = _told(_meant(node))
        forget_node(_meant(node), reason=body.reason, actor=caller(request).actor)
    return gone


@route(router, "GET", "/cluster", scope="read", answer=ClusterAnswer, all_groups=True)
def read_cluster(request: HttpRequest) -> ClusterAnswer:
    """Read the overview of the cluster."""
    return _whole()


@route(router, "POST", "/cluster/pause", scope="admin", answer=ClusterAnswer, all_groups=True)
def pause(request: HttpRequest, body: ReasonBody = ReasonBody()) -> ClusterAnswer:
    """Pause the cluster: nothing starts on any node or for any consumer. What runs is not interrupted."""
    paused = pause_cluster(reason=body.reason, actor=caller(request).actor)
    return _whole().model_copy(update={"in_flight": list(paused.in_flight)})


@route(router, "POST", "/cluster/resume", scope="admin", answer=ClusterAnswer, all_groups=True)
def resume(request: HttpRequest, body: ReasonBody = ReasonBody()) -> ClusterAnswer:
    """Resume the cluster. Fires missed in the meantime follow the misfire policies."""
    resume_cluster(reason=body.reason, actor=caller(request).actor)
    return _whole()


@route(router, "POST", f"{PARTITION}/pause", scope="admin", answer=ClusterAnswer, all_groups=True)
def pause_one(request: HttpRequest, partition: str, body: ReasonBody = ReasonBody()) -> ClusterAnswer:
    """Pause a partition: nothing of its groups starts on any node or for any consumer. What runs is not interrupted."""
    paused = pause_partition(partition, reason=body.reason, actor=caller(request).actor)
    return _whole().model_copy(update={"in_flight": list(paused.in_flight)})


@route(router, "POST", f"{PARTITION}/resume", scope="admin", answer=ClusterAnswer, all_groups=True)
def resume_one(request: HttpRequest, partition: str, body: ReasonBody = ReasonBody()) -> ClusterAnswer:
    """Resume a partition. Fires missed in the meantime follow the misfire policies."""
    resume_partition(partition, reason=body.reason, actor=caller(request).actor)
    return _whole()


@route(router, "POST", f"{PARTITION}/handover", scope="operate", answer=ClusterAnswer, all_groups=True)
def hand_the_lead_over(request: HttpRequest, partition: str, body: HandoverBody = HandoverBody()) -> ClusterAnswer:
    """Make another node the leader of a partition, until an operator changes it or the node ends."""
    hand_over(partition, to=body.to, reason=body.reason, actor=caller(request).actor)
    return _whole()


@route(router, "POST", f"{PARTITION}/release-lead", scope="operate", answer=ClusterAnswer, all_groups=True)
def release_the_lead(request: HttpRequest, partition: str, body: ReasonBody = ReasonBody()) -> ClusterAnswer:
    """Release the lead of a partition: another node becomes the leader."""
    release_lead(partition, reason=body.reason, actor=caller(request).actor)
    return _whole()


def _whole() -> ClusterAnswer:
    now = clock.now()
    found = cluster(now)
    return ClusterAnswer(
        at=now,
        alive=len(found.alive),
        nodes=len(found.nodes),
        threads=found.threads,
        async_slots=found.async_slots,
        slots=found.slots,
        busy=found.busy,
        busy_threads=found.busy_threads,
        busy_async=found.busy_async,
        held=found.held,
        pause=None if found.pause is None else PauseAnswer.model_validate(found.pause),
        partition_pauses=[PartitionPauseAnswer.model_validate(each) for each in found.partition_pauses],
        leaderships=[LeadershipAnswer.model_validate(each) for each in found.leaderships],
        drift=[_drift(each) for each in found.drift],
        concerns=[ConcernAnswer.model_validate(each) for each in concerns(found)],
    )


def _drift(found: Drift) -> DriftAnswer:
    values = [ValueAnswer(value=value, nodes=nodes) for value, nodes in found.values]
    return DriftAnswer.model_validate(
        {"partition": found.partition, "kind": found.kind, "name": found.name, "values": values, "odd": found.odd}
    )


def _meant(node: str) -> int | str:
    """Return the id or the name in the path; a value of digits only is an id."""
    return int(node) if node.isascii() and node.isdigit() and len(node) <= _DIGITS else node


def _told(node: int | str) -> NodeAnswer:
    view = view_of(node, clock.now())
    if view is None:
        raise not_found(f"node {node!r}")
    return NodeAnswer.model_validate(view)
