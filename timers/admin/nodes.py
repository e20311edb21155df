"""Nodes: every incarnation that is remembered, as the engine judges it; asked to drain, to go on, to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from timers.admin import cells
from timers.admin.actions import for_each
from timers.admin.bounded import ReadOnlyAdmin
from timers.admin.json_text import body
from timers.insights.cluster import judged_state
from timers.insights.words import milliseconds
from timers.lifecycle.control.nodes import activate_node, drain_node, stop_node
from timers.models import Node


@admin.register(Node)
class NodeAdmin(ReadOnlyAdmin):
    """The newest incarnations first."""

    list_display = (
        "name", "state_cell", "heartbeat_cell", "host", "pid", "partition", "workers", "running_cell", "clock_cell",
        "version",
    )  # fmt: skip
    list_filter = ("state",)
    search_fields = ("^name",)
    search_help_text = "The beginning of a node's name."
    fields = (
        "name", "state_cell", "state_reason", "wish_cell", "incarnation", "host", "pid", "partition", "mode",
        "precedence", "roles", "allow_execution", "started_at", "ended_at", "heartbeat_cell", "heartbeat_interval",
        "lease_expires_at", "clock_cell", "crash_lock", "workers", "slots", "busy", "rss", "version",
        "handlers", "counters_cell",
    )  # fmt: skip
    readonly_fields = fields
    actions = ("drain", "activate", "stop")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Who may ask something of nodes; their columns are the engine's, and nobody's to edit."""
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

    @admin.display(description="state")
    def state_cell(self, node: Any) -> SafeString | str:
        beat = (node.heartbeat_at, node.heartbeat_interval)
        return cells.state(judged_state(node.state, *beat, node.lease_expires_at, node.read_at))

    @admin.display(description="last heartbeat")
    def heartbeat_cell(self, node: Any) -> SafeString | str:
        return cells.near(node.heartbeat_at, node.read_at)

    @admin.display(description="running")
    def running_cell(self, node: Node) -> str:
        return f"{node.busy} of {node.slots}"

    @admin.display(description="clock ahead by")
    def clock_cell(self, node: Node) -> str:
        return milliseconds(node.clock_offset * 1000)

    @admin.display(description="counters")
    def counters_cell(self, node: Node) -> SafeString | str:
        return body(node.counters)
