"""Minute statistics: what each node did for each group in each minute."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from timers.admin.bounded import ReadOnlyAdmin
from timers.admin.filters import GroupFilter
from timers.insights.rates import quantile
from timers.insights.words import milliseconds
from timers.models import Node, StatsMinute, TimerGroup


@admin.register(StatsMinute)
class StatsMinuteAdmin(ReadOnlyAdmin):
    """Minutes, newest first."""

    list_display = (
        "minute",
        "node_cell",
        "group_cell",
        "succeeded",
        "retried",
        "failed",
        "lateness_cell",
        "run_seconds",
    )
    list_filter = (GroupFilter,)
    fields = (
        "minute",
        "node_cell",
        "group_cell",
        "succeeded",
        "retried",
        "failed",
        "lateness",
        "lateness_cell",
        "run_seconds",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = (
            super()
            .get_queryset(request)
            .annotate(
                node_name=Subquery(Node.objects.filter(id=OuterRef("node_id")).values("name")),
                group_name=Subquery(TimerGroup.objects.filter(id=OuterRef("group_id")).values("name")),
            )
        )
        return rows

    @admin.display(description="node")
    def node_cell(self, row: Any) -> str:
        return row.node_name or f"{row.node_id} (gone)"

    @admin.display(description="group")
    def group_cell(self, row: Any) -> str:
        return row.group_name or f"{row.group_id} (gone)"

    @admin.display(description="half · 99 % at most late")
    def lateness_cell(self, row: StatsMinute) -> str:
        half, most = quantile(row.lateness, 0.5), quantile(row.lateness, 0.99)
        return "–" if half is None or most is None else f"{milliseconds(half)} · {milliseconds(most)}"
