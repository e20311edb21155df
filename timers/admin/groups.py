"""Groups: edit their policies, pause and resume them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from timers.actions import parse
from timers.admin import cells
from timers.admin.actions import for_each
from timers.admin.json_text import JSONTextField
from timers.admin.refusals import ControlAdmin, ControlForm, take_over
from timers.control.groups import create_group, pause_group, resume_group, update_group
from timers.engine.group_clock import now_in
from timers.exceptions import InvalidRequest
from timers.models import TimerGroup
from timers.models.fields import ExactJSONField


class GroupForm(ControlForm):
    """Editable fields of a group."""

    also_called = {"handler": "action"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in {"max_catchup", "max_queued", "pause_after_failures"} & set(self.fields):
            self.fields[name].required = False

    class Meta:
        model = TimerGroup
        fields = (
            "name", "description", "action", "retry", "attempt_timeout", "on_failed", "pause_after_failures",
            "misfire_policy", "misfire_grace", "max_lateness", "max_catchup", "overlap_policy", "max_queued",
            "retry_blocks", "exclusion_calendars", "on_excluded", "on_finish", "priority", "max_batch", "partition",
            "required_roles", "placement", "shards", "retention", "max_timers", "max_payload_bytes", "min_interval",
            "max_concurrency", "max_rate", "concurrency_key", "max_concurrency_per_key", "max_rate_per_key",
        )  # fmt: skip


@admin.register(TimerGroup)
class GroupAdmin(ControlAdmin):
    """Groups by name."""

    form = GroupForm
    formfield_overrides = {ExactJSONField: {"form_class": JSONTextField}}
    ordering = ("name",)
    list_display = ("name", "state_cell", "partition", "priority", "action_cell", "misfire_policy", "overlap_policy")
    list_filter = ("state",)
    search_fields = ("^name",)
    search_help_text = "The beginning of a group's name."
    actions = ("pause", "resume")
    fieldsets = (
        (None, {"fields": ("name", "description", "action", "state_cell", "state_told", "clock_cell")}),
        (
            "When a try does not succeed",
            {"fields": ("retry", "attempt_timeout", "on_failed", "pause_after_failures")},
        ),
        ("When a fire is late", {"fields": ("misfire_policy", "misfire_grace", "max_lateness", "max_catchup")}),
        ("When a fire comes too soon", {"fields": ("overlap_policy", "max_queued", "retry_blocks")}),
        ("When nothing fires", {"fields": ("exclusion_calendars", "on_excluded")}),
        ("Who serves it", {"fields": ("priority", "max_batch", "partition", "required_roles", "placement", "shards")}),
        ("How much runs at once", {"fields": TimerGroup.LIMIT_FIELDS}),
        ("What is too much", {"fields": ("max_timers", "max_payload_bytes", "min_interval")}),
        ("What is kept", {"fields": ("on_finish", "retention")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        facts = ("state_cell", "state_told", "clock_cell")
        return facts if obj is None else ("name", *facts)

    def save_model(self, request: HttpRequest, obj: TimerGroup, form: Any, change: bool) -> None:
        if change:
            take_over(obj, update_group(obj.name, **form.changes()))
            return
        fields = {name: value for name, value in form.cleaned_data.items() if value is not None}
        take_over(obj, create_group(fields.pop("name"), actor=request.user.get_username(), **fields))

    @admin.display(description="state")
    def state_cell(self, group: TimerGroup) -> SafeString | str:
        return cells.state(group.state)

    @admin.display(description="since")
    def state_told(self, group: TimerGroup) -> str:
        if group.state_changed_at is None:
            return "–"
        parts = [f"{group.state_changed_at:%Y-%m-%d %H:%M:%S %Z}"]
        if group.state_changed_by:
            parts.append(f"by {group.state_changed_by}")
        if group.state_reason:
            parts.append(f"because: {group.state_reason}")
        if group.paused_until is not None:
            parts.append(f"until {group.paused_until:%Y-%m-%d %H:%M:%S %Z}")
        return " ".join(parts)

    @admin.display(description="clock")
    def clock_cell(self, group: TimerGroup) -> str:
        if not group.sandbox:
            return "the database's"
        how = "running" if group.clock_frozen_at is None else "frozen"
        return f"its own, {how} at {now_in(group.name):%Y-%m-%d %H:%M:%S %Z} (a sandbox)"

    @admin.display(description="action")
    def action_cell(self, group: TimerGroup) -> str:
        action = group.action
        if action is None:
            return "–"
        try:
            return parse(action).words[:200]
        except InvalidRequest:
            return f"unreadable: {action}"[:100]

    @admin.action(description="Pause: fire nothing until resumed", permissions=["change"])
    def pause(self, request: HttpRequest, rows: QuerySet[TimerGroup]) -> None:
        actor = request.user.get_username()
        for_each(self, request, rows, lambda group: pause_group(group.name, actor=actor), "paused")

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, rows: QuerySet[TimerGroup]) -> None:
        actor = request.user.get_username()
        for_each(self, request, rows, lambda group: resume_group(group.name, actor=actor), "resumed")
