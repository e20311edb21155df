"""Subscriptions: receivers of a group's executions; create, edit, pause, resume, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from timers.actions import parse
from timers.admin import cells
from timers.admin.actions import Answer, for_each
from timers.admin.json_text import JSONTextField
from timers.admin.refusals import ControlAdmin, ControlForm, take_over
from timers.control.subscriptions import (
    create_subscription,
    delete_subscription,
    pause_subscription,
    resume_subscription,
    update_subscription,
)
from timers.exceptions import InvalidRequest
from timers.insights.words import in_flight_words, plural
from timers.models import Subscription
from timers.models.fields import ExactJSONField


class SubscriptionForm(ControlForm):
    """Editable fields of a subscription."""

    also_called = {"handler": "action"}

    class Meta:
        model = Subscription
        fields = ("group", "name", "description", "mode", "action", "filter", "retry")


@admin.register(Subscription)
class SubscriptionAdmin(ControlAdmin):
    """Subscriptions by group and name, without deleted ones, which are history."""

    form = SubscriptionForm
    formfield_overrides = {ExactJSONField: {"form_class": JSONTextField}}
    list_display = ("name", "group_cell", "state_cell", "mode", "action_cell", "filter", "updated_at", "updated_by")
    list_filter = ("state", "mode")
    search_fields = ("^name", "=group__name")
    search_help_text = "The beginning of a subscription's name, or a group's exact name."
    actions = ("pause", "resume", "remove")
    fields = (
        "group", "name", "description", "mode", "action", "filter", "retry", "state_cell", "state_told", "ordinal",
    )  # fmt: skip

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("group__name", "name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.exclude(state=Subscription.State.DELETED).select_related("group")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        facts = ("state_cell", "state_told", "ordinal")
        return facts if obj is None else ("group", "name", "mode", *facts)

    def save_model(self, request: HttpRequest, obj: Subscription, form: Any, change: bool) -> None:
        actor = request.user.get_username()
        if change:
            take_over(obj, update_subscription(obj.group.name, obj.name, actor=actor, **form.changes()))
            return
        fields = dict(form.cleaned_data)
        take_over(obj, create_subscription(fields.pop("group").name, fields.pop("name"), actor=actor, **fields))

    @admin.display(description="group")
    def group_cell(self, row: Subscription) -> str:
        return row.group.name

    @admin.display(description="state")
    def state_cell(self, row: Subscription) -> SafeString | str:
        return cells.state(row.state)

    @admin.display(description="since")
    def state_told(self, row: Subscription) -> str:
        if row.state_changed_at is None:
            return "–"
        by = f" by {row.state_changed_by}" if row.state_changed_by else ""
        because = f" because: {row.state_reason}" if row.state_reason else ""
        return f"{row.state_changed_at:%Y-%m-%d %H:%M:%S %Z}{by}{because}"

    @admin.display(description="action")
    def action_cell(self, row: Subscription) -> str:
        try:
            return parse(row.action).words[:200]
        except InvalidRequest:
            return f"unreadable: {row.action}"[:100]

    @admin.action(description="Pause: deliver nothing until resumed", permissions=["change"])
    def pause(self, request: HttpRequest, rows: QuerySet[Subscription]) -> None:
        self._each(
            request, rows, "paused", lambda row, actor: pause_subscription(row.group.name, row.name, actor=actor)
        )

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, rows: QuerySet[Subscription]) -> None:
        self._each(
            request, rows, "resumed", lambda row, actor: resume_subscription(row.group.name, row.name, actor=actor)
        )

    @admin.action(description="Delete: cancel what waits for it and nobody else can take", permissions=["change"])
    def remove(self, request: HttpRequest, rows: QuerySet[Subscription]) -> None:
        def delete(row: Subscription, actor: str) -> str:
            gone = delete_subscription(row.group.name, row.name, actor=actor)
            words = [
                f"{plural(gone.cancelled, 'execution')} cancelled",
                f"{gone.handed_over:,} handed over",
                in_flight_words(gone.in_flight),
            ]
            return ", ".join(filter(None, words))

        self._each(request, rows, "deleted", delete)

    def _each(
        self, request: HttpRequest, rows: QuerySet[Subscription], done: str, call: Callable[[Subscription, str], Answer]
    ) -> None:
        actor = request.user.get_username()

        for_each(self, request, rows, lambda row: call(row, actor), done)
