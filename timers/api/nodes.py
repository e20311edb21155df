"""Nodes and the cluster: look, drain, activate, stop, pause all, resume all. For keys of all groups."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, ConfigDict, Field

from timers import clock
from timers.api.authentication import caller
from timers.api.executions import ReasonBody
from timers.api.fields import EmptyBody
from timers.api.problems import not_found
from timers.api.route import route
from timers.insights.cluster import NodeView, cluster, node
from timers.lifecycle.control.nodes import activate_node, drain_node, pause_cluster, resume_cluster, stop_node

router = Router(tags=["cluster"])
NODE: Final = "/nodes/{node}"


class NodeAnswer(BaseModel):
    """One start of one node. Durations are seconds."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    host: str
    pid: int
    partition: str
    state: str = Field(description="starting, active, standby, draining, stopped, suspect or dead.")
    reason: str
    wish: str = Field(description="What a person asks of it: drain, stop, or empty; the state follows.")
    wish_reason: str
    wished_by: str
    wished_at: datetime | None
    started_at: datetime
    ended_at: datetime | None
    heartbeat_at: datetime
    heartbeat_age: float
    heartbeat_interval: float
    lease_expires_at: datetime
    clock_offset: float = Field(description="How far its clock is ahead of the database's.")
    workers: int
    slots: int
    busy: int
    held: int = Field(description="Executions in its claims: running, or waiting for their instant.")
    counters: dict[str, Any]
    version: str
    zone_rules: str
    rss: int | None = Field(description="Bytes of memory.")
    mode: str
    roles: list[str]
    handlers: list[str]


class NodesAnswer(BaseModel):
    """The nodes: the living ones, and those that ended lately."""

    items: list[NodeAnswer]


class PauseAnswer(BaseModel):
    """The pause of the whole cluster."""

    model_config = ConfigDict(from_attributes=True)

    at: datetime
    by: str
    reason: str


class ClusterAnswer(BaseModel):
    """The cluster at a glance."""

    at: datetime
    alive: int = Field(description="Nodes whose lease is valid.")
    nodes: int
    slots: int = Field(description="Executions that the living nodes can run at once.")
    busy: int
    held: int
    pause: PauseAnswer | None = Field(description="While there is one, nothing starts anywhere.")


@route(router, "GET", "/nodes", scope="read", answer=NodesAnswer, all_groups=True)
def list_nodes(request: HttpRequest) -> NodesAnswer:
    """List the nodes: the living ones, and those that ended lately."""
    return NodesAnswer(items=[NodeAnswer.model_validate(view) for view in cluster(clock.now()).nodes])


@route(router, "GET", NODE, scope="read", answer=NodeAnswer, all_groups=True)
def read_node(request: HttpRequest, node: str) -> NodeAnswer:
    """Read one node."""
    return _told(node)


@route(router, "POST", f"{NODE}/drain", scope="operate", answer=NodeAnswer, all_groups=True)
def drain(request: HttpRequest, node: str, body: ReasonBody = ReasonBody()) -> NodeAnswer:
    """Take no new work, end what runs, and stay up."""
    drain_node(_number(node), reason=body.reason, actor=caller(request).actor)
    return _told(node)


@route(router, "POST", f"{NODE}/activate", scope="operate", answer=NodeAnswer, all_groups=True)
def activate(request: HttpRequest, node: str, body: ReasonBody = ReasonBody()) -> NodeAnswer:
    """Let a drained node take work again."""
    activate_node(_number(node), reason=body.reason, actor=caller(request).actor)
    return _told(node)


@route(router, "POST", f"{NODE}/stop", scope="operate", answer=NodeAnswer, all_groups=True)
def stop(request: HttpRequest, node: str, body: ReasonBody = ReasonBody()) -> NodeAnswer:
    """Drain, and end the process; this is not called back."""
    stop_node(_number(node), reason=body.reason, actor=caller(request).actor)
    return _told(node)


@route(router, "GET", "/cluster", scope="read", answer=ClusterAnswer, all_groups=True)
def read_cluster(request: HttpRequest) -> ClusterAnswer:
    """The cluster at a glance."""
    return _whole()


@route(router, "POST", "/cluster/pause", scope="admin", answer=ClusterAnswer, all_groups=True)
def pause(request: HttpRequest, body: ReasonBody = ReasonBody()) -> ClusterAnswer:
    """Start nothing anywhere, on no node and for no consumer; what runs goes on."""
    pause_cluster(reason=body.reason, actor=caller(request).actor)
    return _whole()


@route(router, "POST", "/cluster/resume", scope="admin", answer=ClusterAnswer, all_groups=True)
def resume(request: HttpRequest, body: EmptyBody = EmptyBody()) -> ClusterAnswer:
    """Go on; what was missed meanwhile follows the misfire policies."""
    resume_cluster(actor=caller(request).actor)
    return _whole()


def _whole() -> ClusterAnswer:
    now = clock.now()
    found = cluster(now)
    return ClusterAnswer(
        at=now,
        alive=len(found.alive),
        nodes=len(found.nodes),
        slots=found.slots,
        busy=found.busy,
        held=found.held,
        pause=None if found.pause is None else PauseAnswer.model_validate(found.pause),
    )


def _told(number: str) -> NodeAnswer:
    view: NodeView | None = node(_number(number), clock.now())
    if view is None:
        raise not_found()
    return NodeAnswer.model_validate(view)


def _number(node: str) -> int:
    """The number of a node; what is none is not there."""
    if not (node.isascii() and node.isdigit() and len(node) < 10):
        raise not_found()
    return int(node)
