"""Locks that chains share: capacity, holders and waiting orders; declare, change and delete locks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import IntegerField, Model, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from timers import chains
from timers.admin import cells
from timers.admin.actions import for_each
from timers.admin.filters import GroupFilter
from timers.admin.refusals import ControlAdmin, ControlForm, take_over
from timers.insights.locks import HELD, WAITING, counted
from timers.models import ChainLock


class LockForm(ControlForm):
    """The fields of a lock."""

    class Meta:
        model = ChainLock
        fields = ("group", "name", "capacity")


@admin.register(ChainLock)
class ChainLockAdmin(ControlAdmin):
    """Locks by group and name."""

    form = LockForm
    list_display = ("name", "group_cell", "capacity", "held_cell", "waiting_cell")
    list_filter = (GroupFilter,)
    list_select_related = ("group",)
    search_fields = ("^name", "=group__name")
    search_help_text = "The beginning of a lock's name, or a group's exact name."
    actions = ("remove",)
    fields = ("group", "name", "capacity", "held_cell", "waiting_cell", "holders_cell", "waiters_cell")

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("group__name", "name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        held, waiting = (RawSQL(sql, (), output_field=IntegerField()) for sql in (HELD, WAITING))  # noqa: S611
        found: QuerySet[Any] = rows.select_related("group").annotate(held=held, waiting=waiting)
        return found

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        facts = ("held_cell", "waiting_cell", "holders_cell", "waiters_cell")
        return facts if obj is None else ("group", "name", *facts)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ("group", "name", "capacity") if obj is None else self.fields

    def save_model(self, request: HttpRequest, obj: ChainLock, form: Any, change: bool) -> None:
        group = obj.group if change else form.cleaned_data["group"]
        name = obj.name if change else form.cleaned_data["name"]
        actor = request.user.get_username()
        take_over(obj, chains.set_lock(group.name, name, form.cleaned_data["capacity"], actor=actor))

    @admin.action(description="Delete, unless chains take it", permissions=["change"])
    def remove(self, request: HttpRequest, rows: QuerySet[ChainLock]) -> None:
        actor = request.user.get_username()
        for_each(self, request, rows, lambda row: chains.delete_lock(row.group.name, row.name, actor=actor), "deleted")

    @admin.display(description="group")
    def group_cell(self, row: ChainLock) -> str:
        return row.group.name

    @admin.display(description="held by orders")
    def held_cell(self, row: Any) -> str:
        return f"{row.held:,}"

    @admin.display(description="orders waiting")
    def waiting_cell(self, row: Any) -> str:
        return str(counted(row.waiting))

    @admin.display(description="held by")
    def holders_cell(self, row: ChainLock) -> SafeString | str:
        return _orders(chains.get_lock(row.group.name, row.name).holders)

    @admin.display(description="waited for by, the next one first")
    def waiters_cell(self, row: ChainLock) -> SafeString | str:
        return _orders(chains.get_lock(row.group.name, row.name).waiters)


def _orders(orders: Sequence[chains.AtLock]) -> SafeString | str:
    lines = (
        (cells.link("chainorder", each.order, each.name), each.chain, each.step, cells.when(each.since), each.node)
        for each in orders
    )
    return format_html_join("", "<div>{}: chain {}, step {}, since {} {}</div>", lines) or "–"
