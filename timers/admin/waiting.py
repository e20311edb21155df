"""Waiting executions: retry, dismiss or cancel failed ones, cancel ready ones. Their columns cannot be edited."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from timers.admin import cells
from timers.admin.actions import for_each
from timers.admin.asking import PayloadQuestion, ReasonQuestion, ask
from timers.admin.bounded import ReadOnlyAdmin
from timers.admin.failures import failures_page
from timers.admin.filters import GroupFilter
from timers.admin.json_text import body
from timers.admin.search import execution_in, timers_meant
from timers.control.executions import cancel_waiting, dismiss_failed, retry_failed
from timers.exceptions import NotAllowedNow
from timers.models import Subscription, Timer, Waiting

_DONE_TO: Final = {
    Waiting.State.FAILED: (
        ("retry", "Retry"),
        ("retry_mended", "Retry with another payload …"),
        ("dismiss", "Dismiss …"),
    ),
    Waiting.State.READY: (("cancel", "Cancel"),),
    Waiting.State.QUEUED: (("cancel", "Cancel"),),
}
"""Actions on the page of an execution, by its state: an action, and the label of its button."""


@admin.register(Waiting)
class WaitingAdmin(ReadOnlyAdmin):
    """Failed executions that wait for a person, and ready ones that wait for a worker."""

    list_display = (
        "name",
        "group_cell",
        "step_cell",
        "state_cell",
        "attempt",
        "available_cell",
        "origin",
        "error_cell",
        "reason_cell",
    )
    list_filter = ("state", GroupFilter)
    list_select_related = ("group",)
    search_fields = ("=id",)
    search_help_text = "An execution's id, a timer's id, its exact name, or group/name."
    actions = ("retry", "retry_mended", "dismiss", "cancel")
    change_list_template = "admin/timers/waiting_list.html"
    change_form_template = "admin/timers/waiting_change.html"
    fields = (
        "state_cell", "name", "group_cell", "timer_cell", "id", "step", "attempt", "forgiven", "missed_count",
        "available_cell", "origin", "subscription_cell", "reason", "error_title", "error_fingerprint", "payload_cell",
        "created_at", "changed_at",
    )  # fmt: skip
    readonly_fields = fields

    def get_urls(self) -> list[Any]:
        page = self.admin_site.admin_view(self.failures)
        return [path("failures/", page, name="timers_waiting_failures"), *super().get_urls()]

    def failures(self, request: HttpRequest) -> TemplateResponse:
        """Render the failed executions by fault."""
        return failures_page(self, request, may_operate=self.has_operate_permission(request))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).select_related("group").annotate(read_at=cells.read_at())
        columns = (
            "name", "group__name", "state", "attempt", "available_at", "origin", "error_title", "reason", "timer_id",
            "step",
        )  # fmt: skip
        return rows.only(*columns) if self.is_list(request) else rows

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        execution = execution_in(term)
        if execution is not None:
            return queryset.filter(pk=execution), False
        return queryset.filter(timer_id__in=timers_meant(term)), False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Allow users with the change permission to decide on executions; nobody can edit the columns."""
        return request.user.has_perm("timers.change_waiting")

    @admin.display(description="state")
    def state_cell(self, row: Waiting) -> SafeString | str:
        return cells.state(row.state)

    @admin.display(description="step")
    def step_cell(self, row: Waiting) -> str:
        return row.step or "–"

    @admin.display(description="group")
    def group_cell(self, row: Waiting) -> str:
        return row.group.name

    @admin.display(description="timer")
    def timer_cell(self, row: Waiting) -> SafeString | str:
        return cells.link("timer", row.timer_id, f"{row.name} (id {row.timer_id})")

    @admin.display(description="next try")
    def available_cell(self, row: Any) -> SafeString | str:
        return "–" if row.state == Waiting.State.FAILED else cells.near(row.available_at, row.read_at)

    @admin.display(description="error")
    def error_cell(self, row: Waiting) -> str:
        return row.error_title.split("\n", 1)[0][:120]

    @admin.display(description="reason")
    def reason_cell(self, row: Waiting) -> str:
        return row.reason.split("\n", 1)[0][:120]

    @admin.display(description="subscription")
    def subscription_cell(self, row: Waiting) -> str:
        if not row.subscription:
            return "–"
        names = Subscription.objects.filter(group_id=row.group_id, ordinal=row.subscription)
        return names.values_list("name", flat=True).first() or f"ordinal {row.subscription}"

    @admin.display(description="payload")
    def payload_cell(self, row: Waiting) -> SafeString | str:
        if row.payload is not None:
            return body(row.payload)
        return format_html("<p>The timer's:</p>{}", body(_timers_payload(row)))

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        row = context["original"]
        context["buttons"] = _DONE_TO.get(row.state, ()) if self.has_operate_permission(request) else ()
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(description="Retry: now, with all the retries of its policy", permissions=["operate"])
    def retry(self, request: HttpRequest, rows: QuerySet[Waiting]) -> None:
        actor = request.user.get_username()
        for_each(self, request, rows, lambda row: retry_failed(str(row.pk), actor=actor), "retried")

    @admin.action(description="Retry with another payload", permissions=["operate"])
    def retry_mended(self, request: HttpRequest, rows: QuerySet[Waiting]) -> TemplateResponse | None:
        actor = request.user.get_username()

        def call(row: Waiting, payload: Any) -> None:
            retry_failed(str(row.pk), payload=payload, actor=actor)

        first = Waiting.objects.filter(pk__in=rows).order_by("pk").first()
        now = None if first is None else _timers_payload(first) if first.payload is None else first.payload
        title = "Retry with another payload"
        return ask(self, request, rows, PayloadQuestion, call, title=title, done="retried", initial={"payload": now})

    @admin.action(description="Dismiss: failed is its final outcome", permissions=["operate"])
    def dismiss(self, request: HttpRequest, rows: QuerySet[Waiting]) -> TemplateResponse | None:
        actor = request.user.get_username()

        def call(row: Waiting, reason: str) -> None:
            if not dismiss_failed([str(row.pk)], reason=reason, actor=actor):
                raise NotAllowedNow("is not failed (any more); only a failed execution can be dismissed")

        title = "Dismiss: failed for good, and their payloads are gone"
        return ask(self, request, rows, ReasonQuestion, call, title=title, done="dismissed")

    @admin.action(description="Cancel: never try it again", permissions=["operate"])
    def cancel(self, request: HttpRequest, rows: QuerySet[Waiting]) -> None:
        actor = request.user.get_username()

        def call(row: Waiting) -> None:
            if not cancel_waiting([str(row.pk)], actor=actor):
                raise NotAllowedNow("does not wait any more")

        for_each(self, request, rows, call, "cancelled")


def _timers_payload(row: Waiting) -> Any:
    timer = Timer.objects.filter(id=row.timer_id or 0).first()
    return None if timer is None else timer.payload
