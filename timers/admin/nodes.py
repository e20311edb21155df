"""Nodes: every incarnation that is remembered, as the engine judges it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from timers.admin import cells
from timers.admin.bounded import ReadOnlyAdmin
from timers.admin.json_text import body
from timers.insights.cluster import judged_state
from timers.insights.words import milliseconds
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
        "name", "state_cell", "state_reason", "incarnation", "host", "pid", "partition", "mode", "precedence", "roles",
        "allow_execution", "started_at", "ended_at", "heartbeat_cell", "heartbeat_interval", "lease_expires_at",
        "clock_cell", "crash_lock", "workers", "slots", "busy", "rss", "version", "handlers", "counters_cell",
    )  # fmt: skip
    readonly_fields = fields

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
