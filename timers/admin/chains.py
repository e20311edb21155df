"""Chains: their steps, versions and states; stop and start them, stop, skip and activate their steps.

Definitions are written from Python and over the API, where a whole graph is validated; they cannot be edited here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from timers import chains
from timers.admin import cells
from timers.admin.asking import ReasonQuestion, ask
from timers.admin.bounded import ReadOnlyAdmin
from timers.admin.filters import GroupFilter
from timers.admin.json_text import body
from timers.exceptions import TimersError
from timers.models import Chain

_VERSIONS: Final = 20
"""Maximum number of versions that a page lists."""
_UPCOMING: Final = 20
"""Maximum number of orders that have not begun that a page lists."""


class StepQuestion(forms.Form):
    """Step, and reason of the change."""

    step = forms.CharField(help_text="The name of a step of the chain.")
    reason = forms.CharField(required=False, help_text="For the record.")


class StartQuestion(forms.Form):
    """Order to start."""

    order = forms.CharField(help_text="The name of an order of the chain that is pending.")


class WithdrawQuestion(forms.Form):
    """Order to withdraw, and the reason."""

    order = forms.CharField(help_text="The name of an order of the chain that has not begun.")
    reason = forms.CharField(required=False, help_text="For the record.")


@admin.register(Chain)
class ChainAdmin(ReadOnlyAdmin):
    """Chains by group and name."""

    list_display = ("name", "group_cell", "state_cell", "newest", "unusual_cell", "updated_at", "updated_by")
    list_filter = ("state", GroupFilter)
    list_select_related = ("group",)
    search_fields = ("^name", "=group__name")
    search_help_text = "The beginning of a chain's name, or a group's exact name."
    actions = ("stop", "start", "stop_step", "skip_step", "activate_step", "start_order", "withdraw_order")
    fields = (
        "name", "group_cell", "state_cell", "state_told", "newest", "declared_cell", "steps_cell", "upcoming_cell",
        "picture_cell", "versions_cell", "definition_cell", "created_at", "created_by", "updated_at", "updated_by",
    )  # fmt: skip
    readonly_fields = fields

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("group__name", "name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related("group").prefetch_related("steps")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Allow users who may decide on waiting executions: stopping and starting makes executions wait."""
        return request.user.has_perm("timers.change_waiting")

    @admin.display(description="group")
    def group_cell(self, row: Chain) -> str:
        return row.group.name

    @admin.display(description="state")
    def state_cell(self, row: Chain) -> SafeString | str:
        return cells.state(row.state)

    @admin.display(description="since")
    def state_told(self, row: Chain) -> str:
        return _since(row)

    @admin.display(description="declared")
    def declared_cell(self, row: Chain) -> str:
        if not row.source:
            return "–"
        whose = f"{row.source} of {row.owner}" if row.owner else row.source
        return f"{whose}: " + ("no longer" if row.declared_version is None else f"version {row.declared_version}")

    @admin.display(description="steps not active")
    def unusual_cell(self, row: Chain) -> str:
        return ", ".join(str(step) for step in row.steps.all() if step.state != step.State.ACTIVE) or "–"

    @admin.display(description="steps")
    def steps_cell(self, row: Chain) -> SafeString | str:
        try:
            views = chains.find_steps(row.group.name, row.name)
        except TimersError as error:
            return str(error)
        lines = (
            (view.name, view.words or "of an older version", cells.state(view.state), _orders(view), view.state_reason)
            for view in views
        )
        return format_html_join("", "<div>{} ({}): {} {} {}</div>", lines)

    @admin.display(description="orders that have not begun")
    def upcoming_cell(self, row: Chain) -> SafeString | str:
        page = chains.find_upcoming_orders(row.group.name, row.name, limit=_UPCOMING)
        lines = (
            (cells.link("timer", each.timer_id, each.name), cells.state(each.state), cells.when(each.begins_at),
             each.reason)
            for each in page.orders
        )  # fmt: skip
        more = "" if page.next is None else "…"
        return format_html("{}{}", format_html_join("", "<div>{} {} {} {}</div>", lines), more) if page.orders else "–"

    @admin.display(description="picture")
    def picture_cell(self, row: Chain) -> SafeString | str:
        try:
            return format_html("<pre>{}</pre>", chains.picture_as_text(row.group.name, row.name))
        except TimersError as error:
            return str(error)

    @admin.display(description="definition")
    def definition_cell(self, row: Chain) -> SafeString | str:
        return body(row.versions.values_list("definition", flat=True).filter(version=row.newest).first())

    @admin.display(description="versions")
    def versions_cell(self, row: Chain) -> SafeString | str:
        found = row.versions.order_by("-version").only("version", "created_at", "created_by")[:_VERSIONS]
        lines = ((each.version, cells.when(each.created_at), each.created_by or "–") for each in found)
        return format_html_join("", "<div>{}: {} {}</div>", lines)

    @admin.action(description="Stop: orders wait before their next step …", permissions=["operate"])
    def stop(self, request: HttpRequest, rows: QuerySet[Chain]) -> TemplateResponse | None:
        return self._chain(request, rows, chains.stop_chain, "Stop: orders wait before their next step", "stopped")

    @admin.action(description="Start …", permissions=["operate"])
    def start(self, request: HttpRequest, rows: QuerySet[Chain]) -> TemplateResponse | None:
        return self._chain(request, rows, chains.start_chain, "Start: orders go on", "started")

    @admin.action(description="Stop a step …", permissions=["operate"])
    def stop_step(self, request: HttpRequest, rows: QuerySet[Chain]) -> TemplateResponse | None:
        return self._step(request, rows, chains.stop_step, "Stop a step: orders wait before it", "step stopped")

    @admin.action(description="Skip a step …", permissions=["operate"])
    def skip_step(self, request: HttpRequest, rows: QuerySet[Chain]) -> TemplateResponse | None:
        return self._step(request, rows, chains.skip_step, "Skip a step: orders pass it at once", "step skipped")

    @admin.action(description="Activate a step …", permissions=["operate"])
    def activate_step(self, request: HttpRequest, rows: QuerySet[Chain]) -> TemplateResponse | None:
        return self._step(request, rows, chains.activate_step, "Activate a step: orders run it", "step activated")

    @admin.action(description="Start an order that is pending …", permissions=["operate"])
    def start_order(self, request: HttpRequest, rows: QuerySet[Chain]) -> TemplateResponse | None:
        actor = request.user.get_username()

        def one(row: Chain, order: str) -> None:
            chains.start_order(row.group.name, row.name, order, actor=actor)

        return ask(
            self, request, rows, StartQuestion, one, title="Start an order that is pending", done="order started"
        )

    @admin.action(description="Withdraw an order that has not begun …", permissions=["operate"])
    def withdraw_order(self, request: HttpRequest, rows: QuerySet[Chain]) -> TemplateResponse | None:
        actor = request.user.get_username()

        def one(row: Chain, order: str, reason: str) -> None:
            chains.withdraw_order(row.group.name, row.name, order, reason=reason, actor=actor)

        title = "Withdraw an order that has not begun, and all that its timer would begin after it"
        return ask(self, request, rows, WithdrawQuestion, one, title=title, done="order withdrawn")

    def _chain(
        self, request: HttpRequest, rows: QuerySet[Chain], call: Callable[..., Any], title: str, done: str
    ) -> TemplateResponse | None:
        actor = request.user.get_username()

        def one(row: Chain, reason: str) -> None:
            call(row.group.name, row.name, reason=reason, actor=actor)

        return ask(self, request, rows, ReasonQuestion, one, title=title, done=done)

    def _step(
        self, request: HttpRequest, rows: QuerySet[Chain], call: Callable[..., Any], title: str, done: str
    ) -> TemplateResponse | None:
        actor = request.user.get_username()

        def one(row: Chain, step: str, reason: str) -> None:
            call(row.group.name, row.name, step, reason=reason, actor=actor)

        return ask(self, request, rows, StepQuestion, one, title=title, done=done)


def _orders(view: chains.StepView) -> str:
    states = ", ".join(f"{count:,} {state}" for state, count in view.orders.states.items())
    if not states:
        return ""
    return f"{view.orders.total} {'order' if view.orders.total.value == 1 else 'orders'} ({states})"


def _since(row: Chain) -> str:
    if row.state_changed_at is None:
        return "–"
    by = f" by {row.state_changed_by}" if row.state_changed_by else ""
    because = f" because: {row.state_reason}" if row.state_reason else ""
    return f"{row.state_changed_at:%Y-%m-%d %H:%M:%S %Z}{by}{because}"
