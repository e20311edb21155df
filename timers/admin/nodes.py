"""Nodes: every recorded incarnation, as the engine judges it; drain, activate and stop nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from timers import clock
from timers.admin import cells
from timers.admin.actions import for_each
from timers.admin.bounded import BoundedChangeList, ReadOnlyAdmin
from timers.admin.json_text import body
from timers.control.leadership import hand_over
from timers.control.nodes import activate_node, drain_node, forget_node, stop_node
from timers.insights.drift import drift_by_node, drift_of
from timers.insights.node_view import newest_nodes, nodes_by_id
from timers.insights.words import milliseconds
from timers.models import Node


class NodeChangeList(BoundedChangeList):
    """Adds the engine's judgement of each node."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = _judged(self.result_list)


def _judged(nodes: Iterable[Any]) -> list[Any]:
    """Set `judged` on rows of nodes: state, running and claimed executions as of now; and `drift`: differences from the
    other nodes of the partition, as text.

    Returns the rows, without those of nodes that were deleted after they were read.
    """
    rows = list(nodes)
    now = clock.now()
    views, differs = nodes_by_id([row.pk for row in rows], now), drift_by_node(drift_of(newest_nodes(now)))
    rows = [row for row in rows if row.pk in views]
    for row in rows:
        row.judged = views[row.pk]
        row.drift = differs.get(row.judged.label, []) if row.judged.alive else []
    return rows


@admin.register(Node)
class NodeAdmin(ReadOnlyAdmin):
    """Nodes, newest incarnation first."""

    list_display = (
        "name", "state_cell", "heartbeat_cell", "host", "pid", "partition", "mode_cell", "workers", "running_cell",
        "clock_cell", "version", "config_cell",
    )  # fmt: skip
    list_filter = ("state",)
    search_fields = ("^name",)
    search_help_text = "The beginning of a node's name."
    fields = (
        "name", "state_cell", "state_reason", "wish_cell", "incarnation", "host", "pid", "partition", "mode_cell",
        "on_stop", "failback", "roles", "allow_execution", "started_at", "ended_at", "heartbeat_cell",
        "heartbeat_interval", "lease_expires_at", "clock_cell", "crash_lock", "workers", "running_cell", "held_cell",
        "rss", "version", "zone_rules", "config_cell", "drift_cell", "handlers", "counters_cell",
    )  # fmt: skip
    readonly_fields = fields
    actions = ("drain", "activate", "stop", "lead", "forget")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Allow operators to control nodes; the columns belong to the engine, and nobody can edit them."""
        return request.user.has_perm("timers.change_node")

    @admin.action(description="Drain: take no new work, end what runs, stay up", permissions=["operate"])
    def drain(self, request: HttpRequest, rows: QuerySet[Node]) -> None:
        self._ask(request, rows, drain_node, "asked to drain")

    @admin.action(description="Activate: take work again", permissions=["operate"])
    def activate(self, request: HttpRequest, rows: QuerySet[Node]) -> None:
        self._ask(request, rows, activate_node, "asked to take work again")

    @admin.action(description="Stop: drain and end the process", permissions=["operate"])
    def stop(self, request: HttpRequest, rows: QuerySet[Node]) -> None:
        self._ask(request, rows, stop_node, "asked to stop")

    @admin.action(description="Lead: hand the lead of its partition over to this node", permissions=["operate"])
    def lead(self, request: HttpRequest, rows: QuerySet[Node]) -> None:
        def call(row: Node) -> None:
            hand_over(row.partition, to=row.name, actor=request.user.get_username())

        for_each(self, request, rows, call, "made the leader")

    @admin.action(description="Forget: remove a node that has ended", permissions=["operate"])
    def forget(self, request: HttpRequest, rows: QuerySet[Node]) -> None:
        def call(row: Node) -> None:
            forget_node(row.pk, actor=request.user.get_username())

        for_each(self, request, rows, call, "forgotten")

    def _ask(self, request: HttpRequest, rows: QuerySet[Node], verb: Callable[..., Node], done: str) -> None:
        def call(row: Node) -> None:
            verb(row.pk, actor=request.user.get_username())

        for_each(self, request, rows, call, done)

    @admin.display(description="wish")
    def wish_cell(self, node: Node) -> str:
        if node.wished_at is None:
            return "–"
        by = f" by {node.wished_by}" if node.wished_by else ""
        because = f" because: {node.wish_reason}" if node.wish_reason else ""
        return f"{node.wish or 'activate'}, {node.wished_at:%Y-%m-%d %H:%M:%S %Z}{by}{because}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).annotate(read_at=cells.read_at())
        return rows

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NodeChangeList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        node = super().get_object(request, object_id, from_field)
        return None if node is None else next(iter(_judged([node])), None)

    @admin.display(description="state")
    def state_cell(self, node: Any) -> SafeString | str:
        return format_html("{}{}", cells.state(node.judged.state), f" {node.judged.phi_words}".rstrip())

    @admin.display(description="mode")
    def mode_cell(self, node: Any) -> str:
        return str(node.judged.mode_words)

    @admin.display(description="last heartbeat")
    def heartbeat_cell(self, node: Any) -> SafeString | str:
        return cells.near(node.heartbeat_at, node.read_at)

    @admin.display(description="running")
    def running_cell(self, node: Any) -> str:
        return str(node.judged.usage)

    @admin.display(description="held")
    def held_cell(self, node: Any) -> str:
        left = node.judged.left_behind
        return f"{left} wait to be rescued" if left else str(node.judged.held)

    @admin.display(description="clock ahead by")
    def clock_cell(self, node: Node) -> str:
        return milliseconds(node.clock_offset * 1000)

    @admin.display(description="configuration")
    def config_cell(self, node: Any) -> str:
        return f"{node.config_hash or '–'}{', differs' if node.drift else ''}"

    @admin.display(description="differs from the others in")
    def drift_cell(self, node: Any) -> SafeString | str:
        return format_html_join(mark_safe("<br>"), "{}", ((each,) for each in node.drift)) or "–"

    @admin.display(description="counters")
    def counters_cell(self, node: Any) -> SafeString | str:
        return body(node.judged.counters)
