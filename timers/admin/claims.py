"""Claims: what workers have claimed now. Read-only, because a claim is the fence of what is running."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import F, Func, IntegerField, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from timers.admin import cells
from timers.admin.bounded import ReadOnlyAdmin
from timers.admin.json_text import body
from timers.models import Claim

_SHOWN = 100


@admin.register(Claim)
class ClaimAdmin(ReadOnlyAdmin):
    """Claims, newest fence first."""

    list_display = ("id", "group_cell", "node_cell", "worker", "claimed_cell", "held_cell")
    fields = (
        "id",
        "group_cell",
        "node_cell",
        "worker",
        "worker_pid",
        "claimed_cell",
        "executions_cell",
        "details_cell",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        held = Func(F("executions"), function="cardinality", output_field=IntegerField())
        rows: QuerySet[Any] = (
            super().get_queryset(request).select_related("group", "node").annotate(held=held, read_at=cells.read_at())
        )
        columns = ("id", "group__name", "node__name", "consumer", "worker", "claimed_at", "expires_at")
        return rows.only(*columns) if self.is_list(request) else rows

    @admin.display(description="group")
    def group_cell(self, claim: Claim) -> str:
        return claim.group.name

    @admin.display(description="node")
    def node_cell(self, claim: Claim) -> SafeString:
        if claim.node is None:
            return format_html("consumer {}, until {}", claim.consumer, cells.when(claim.expires_at))
        return cells.link("node", claim.node.id, claim.node.name)

    @admin.display(description="claimed at")
    def claimed_cell(self, claim: Any) -> SafeString | str:
        return cells.near(claim.claimed_at, claim.read_at)

    @admin.display(description="executions held")
    def held_cell(self, claim: Any) -> int:
        return int(claim.held)

    @admin.display(description="executions held")
    def executions_cell(self, claim: Claim) -> SafeString:
        return format_html_join("", "<div>{}</div>", ((one,) for one in claim.executions[:_SHOWN]))

    @admin.display(description="details")
    def details_cell(self, claim: Claim) -> SafeString | str:
        return body(claim.details)
