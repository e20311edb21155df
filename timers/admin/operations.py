"""Bulk operations: start them, see their progress, pause, resume and cancel them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from timers.admin import cells
from timers.admin.actions import for_each
from timers.admin.refusals import ControlAdmin, ControlForm, take_over
from timers.control.operations import (
    cancel_operation,
    pause_operation,
    resume_operation,
    start_operation,
)
from timers.engine.failed_filter import CONDITIONS, LONGEST_TEXT
from timers.exceptions import InvalidRequest
from timers.insights.words import plural
from timers.models import BulkOperation

_SHOWN = 20
"""Maximum number of characters of a condition in a list."""


class OperationForm(ControlForm):
    """What to do, and to which failed executions."""

    also_called = {"all": "everything"}

    group = forms.CharField(required=False, help_text="The name of a group; empty: all.")
    timer = forms.CharField(required=False, help_text="The name of a timer.")
    fingerprint = forms.CharField(
        required=False,
        widget=forms.TextInput(attrs={"size": 40}),
        help_text="That of the fault, as the list of failures shows it.",
    )
    error_contains = forms.CharField(required=False, help_text="Text of the error or reason, in any letter case.")
    failed_after = forms.CharField(required=False, help_text="An instant with its offset: 2026-11-20T15:00:00+01:00.")
    failed_before = forms.CharField(required=False, help_text="The same; executions that failed then are not meant.")
    everything = forms.BooleanField(
        required=False, label="All of them", help_text="Every failed execution, where no condition is given."
    )
    pace = forms.FloatField(required=False, help_text="At most so many executions a second; empty: as fast as it goes.")

    class Meta:
        model = BulkOperation
        fields = ("verb", "pace", "reason")

    def conditions(self) -> dict[str, Any]:
        """Return the conditions as control accepts them."""
        given = {name: self.cleaned_data[name] for name in CONDITIONS if self.cleaned_data.get(name)}
        return given | ({"all": True} if self.cleaned_data["everything"] else {})


@admin.register(BulkOperation)
class OperationAdmin(ControlAdmin):
    """Operations, newest first."""

    form = OperationForm
    list_display = (
        "id",
        "verb",
        "state_cell",
        "progress_cell",
        "meant_cell",
        "pace_cell",
        "created_cell",
        "created_by",
    )
    list_display_links = ("id", "verb")
    list_filter = ("state",)
    actions = ("pause", "resume", "cancel")
    _asked = (
        "verb", "group", "timer", "fingerprint", "error_contains", "failed_after", "failed_before", "everything",
        "pace", "reason",
    )  # fmt: skip
    _told = (
        "verb", "state_cell", "state_reason", "progress_cell", "refusals_cell", "filter_cell", "groups", "pace_cell",
        "reason", "created_at", "created_by", "ended_at",
    )  # fmt: skip

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return self._asked if obj is None else self._told

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return () if obj is None else self._told

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).annotate(read_at=cells.read_at())
        return rows

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Allow users who may decide on one waiting execution: they may decide on many."""
        return request.user.has_perm("timers.change_waiting")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_operate_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_view_permission(request, obj) or self.has_operate_permission(request)

    def save_model(self, request: HttpRequest, obj: BulkOperation, form: Any, change: bool) -> None:
        asked = form.cleaned_data
        try:
            operation = start_operation(
                asked["verb"],
                form.conditions(),
                pace=asked["pace"],
                reason=asked["reason"],
                actor=request.user.get_username(),
            )
        except InvalidRequest as refused:
            # The conditions are separate fields here.
            raise InvalidRequest.combined(
                InvalidRequest(problem.field.removeprefix("filter."), problem.message) for problem in refused.problems
            ) from refused
        take_over(obj, operation)

    @admin.display(description="state")
    def state_cell(self, operation: BulkOperation) -> SafeString | str:
        return cells.state(operation.state)

    @admin.display(description="progress")
    def progress_cell(self, operation: BulkOperation) -> SafeString:
        dealt_with = operation.done + operation.refused
        refused = f", {operation.refused:,} refused" if operation.refused else ""
        return format_html(
            '<progress max="{}" value="{}"></progress> {}',
            max(operation.total, dealt_with, 1),
            dealt_with if operation.total else 1,
            f"{operation.done:,} of {plural(operation.total, 'execution')}{refused}",
        )

    @admin.display(description="meant are")
    def meant_cell(self, operation: BulkOperation) -> str:
        return _meant(operation, _SHOWN)

    @admin.display(description="meant are")
    def filter_cell(self, operation: BulkOperation) -> str:
        return _meant(operation, LONGEST_TEXT)

    @admin.display(description="pace")
    def pace_cell(self, operation: BulkOperation) -> str:
        return "as fast as it goes" if operation.pace is None else f"{operation.pace:g} a second"

    @admin.display(description="asked")
    def created_cell(self, operation: Any) -> SafeString | str:
        return cells.near(operation.created_at, operation.read_at)

    @admin.display(description="refused, for example")
    def refusals_cell(self, operation: BulkOperation) -> SafeString | str:
        examples = operation.refusals if isinstance(operation.refusals, list) else []
        lines = ((cells.link("waiting", one["execution"], one["execution"]), one["message"]) for one in examples)
        return format_html_join("", "<div>{}: {}</div>", lines) or "–"

    @admin.action(description="Pause", permissions=["operate"])
    def pause(self, request: HttpRequest, rows: QuerySet[BulkOperation]) -> None:
        self._each(request, rows, pause_operation, "paused")

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, rows: QuerySet[BulkOperation]) -> None:
        self._each(request, rows, resume_operation, "resumed")

    @admin.action(description="Cancel: go no further; what is done stays done", permissions=["operate"])
    def cancel(self, request: HttpRequest, rows: QuerySet[BulkOperation]) -> None:
        self._each(request, rows, cancel_operation, "cancelled")

    def _each(self, request: HttpRequest, rows: QuerySet[BulkOperation], call: Callable[..., Any], done: str) -> None:
        actor = request.user.get_username()

        def one(operation: BulkOperation) -> None:
            call(operation.pk, actor=actor)

        for_each(self, request, rows, one, done)


def _meant(operation: BulkOperation, longest: int) -> str:
    given = operation.filter if isinstance(operation.filter, dict) else {}
    parts = []
    for name in CONDITIONS:
        if name in given:
            text = str(given[name])
            parts.append(f"{name.replace('_', ' ')} {text if len(text) <= longest else text[: longest - 1] + '…'}")
    return ", ".join(parts) or "all failed executions"
