"""Timers: create, edit, pause, resume, fire now, cancel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from timers import scheduling
from timers.admin import cells
from timers.admin.actions import Answer, for_each
from timers.admin.asking import BackfillQuestion, PauseQuestion, ask
from timers.admin.bounded import BoundedChangeList
from timers.admin.filters import GroupFilter
from timers.admin.json_text import JSONTextField
from timers.admin.refusals import ControlAdmin, take_over
from timers.admin.search import timers_meant
from timers.admin.timer_form import schedule_fields, timer_form
from timers.control.backfill import backfill_timer
from timers.control.change import (
    cancel_timer,
    fire_timer,
    pause_timer,
    resume_timer,
)
from timers.control.skip_next import skip_next_fire
from timers.domain.payload import Unreadable
from timers.exceptions import InvalidRequest
from timers.insights import executions
from timers.insights.held_up import cluster_facts, due_since, held_up_by, waits_for_handler, waits_for_limit
from timers.insights.last_outcomes import tell_last_outcomes
from timers.insights.limits import limits_reached
from timers.insights.preview import preview_of
from timers.insights.words import milliseconds, plural
from timers.models import Timer, TimerGroup
from timers.models.claimed import claimed_executions
from timers.models.fields import ExactJSONField
from timers.models.schedule_words import schedule_words

_NEXT = 6
_HISTORY = 10
_MICROSECOND = timedelta(microseconds=1)


def _tell_pause(timers: Iterable[Any]) -> None:
    """Set on each row what its cells need to show what keeps the timer from firing."""
    pauses, known = cluster_facts()
    rows = list(timers)
    reached = limits_reached(timer.group for timer in rows)
    for timer in rows:
        timer.cluster_pauses, timer.known_handlers, timer.limits_reached = pauses, known, reached


class TimerChangeList(BoundedChangeList):
    """Adds the last outcomes of timers that fire once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        tell_last_outcomes(self.result_list)
        _tell_pause(self.result_list)


@admin.register(Timer)
class TimerAdmin(ControlAdmin):
    """Timers, newest first."""

    formfield_overrides = {ExactJSONField: {"form_class": JSONTextField}}
    list_display = (
        "name", "group_cell", "state_cell", "schedule_cell", "time_zone", "next_cell", "last_cell", "outcome_cell",
        "fire_count",
    )  # fmt: skip
    list_filter = ("state", "schedule_kind", GroupFilter)
    search_fields = ("=id",)
    search_help_text = "A timer's exact name, group/name, or id; or the beginning of a name."
    actions = ("pause", "pause_until", "resume", "fire_now", "fire_overlapping", "skip_next", "backfill", "cancel")

    class Media:
        js = ("timers/admin_schedule.js",)

    _facts = (
        "schedule_cell", "state_cell", "state_told", "next_cell", "following_cell", "last_cell", "outcome_cell",
        "fire_count", "failures_in_a_row", "open_execution", "in_flight_cell", "waiting_cell", "history_cell", "shard",
        "source_cell", "created_told", "updated_told",
    )  # fmt: skip

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        facts = (
            () if obj is None else (("Now", {"fields": self._facts[:-6]}), ("History", {"fields": self._facts[-6:]}))
        )
        return (
            (None, {"fields": ("group", "name", "description", "tags")}),
            (
                "Schedule",
                {
                    "fields": (
                        "schedule_kind", *schedule_fields(), "time_zone", "start_at", "end_at", "max_fires", "jitter",
                        "priority", "until_committed", "version",
                    )
                },
            ),
            ("What it does", {"fields": ("payload", "action", "overrides", "concurrency_key")}),
            *facts,
        )  # fmt: skip

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **{"form": timer_form(), **kwargs})

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return () if obj is None else ("group", "name", *self._facts)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).select_related("group").annotate(read_at=cells.read_at())
        columns = (
            "name", "group__name", "group__state", "group__state_reason", "state", "schedule_kind", "schedule",
            "time_zone", "next_fire_at", "last_fire_at",
            "last_outcome", "fire_count", "action", "group__action", "group__partition", "group__worker_ordinals",
            "group__max_batch", *(f"group__{name}" for name in TimerGroup.LIMIT_FIELDS),
        )  # fmt: skip
        return rows.only(*columns) if self.is_list(request) else rows

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TimerChangeList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        timer = super().get_object(request, object_id, from_field)
        if timer is not None:
            tell_last_outcomes([timer])
            _tell_pause([timer])
        return timer

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        meant = timers_meant(term)
        if meant:
            return queryset.filter(id__in=meant), False
        return queryset.filter(name__startswith=term), False

    def save_model(self, request: HttpRequest, obj: Timer, form: Any, change: bool) -> None:
        actor = request.user.get_username()
        if not change:
            kind, keywords = form.keywords()
            created = scheduling.schedule_timer({"kind": kind, **keywords}, actor=actor)
            assert created.timer is not None
            take_over(obj, created.timer)
            return
        changes = form.changes()
        if isinstance(obj.payload, Unreadable) and "payload" not in changes:
            raise InvalidRequest(
                "payload", f"cannot be read, so it must be replaced with this change ({obj.payload.reason})"
            )
        saved = scheduling.update_timer(
            obj.group.name, obj.name, actor=actor, version=form.cleaned_data["version"], **changes
        )
        take_over(obj, saved)

    @admin.display(description="group")
    def group_cell(self, timer: Timer) -> str:
        return timer.group.name

    @admin.display(description="state")
    def state_cell(self, timer: Timer) -> SafeString | str:
        held_up = self._held_up(timer)
        return format_html("{} {}", cells.state(timer.state), f"({held_up})") if held_up else cells.state(timer.state)

    @staticmethod
    def _held_up(timer: Any) -> str:
        """Return what keeps an active timer from firing; read once per row, the cluster's pause once for all rows."""
        paused = held_up_by(timer, timer.group, timer.cluster_pauses)
        waits = paused or waits_for_handler(timer, timer.group, timer.known_handlers)
        return waits or waits_for_limit(timer, timer.read_at, timer.limits_reached)

    @admin.display(description="state since")
    def state_told(self, timer: Timer) -> SafeString | str:
        if timer.state_changed_at is None:
            return cells.when(timer.created_at)
        by = f" by {timer.state_changed_by}" if timer.state_changed_by else ""
        why = f": {timer.state_reason}" if timer.state_reason else ""
        until = format_html(", until {}", cells.when(timer.paused_until)) if timer.paused_until else ""
        return format_html("{}{}{}{}", cells.when(timer.state_changed_at), by, why, until)

    @admin.display(description="schedule")
    def schedule_cell(self, timer: Timer) -> str:
        return schedule_words(timer.schedule_kind, timer.schedule, timer.time_zone)

    @admin.display(description="next fire")
    def next_cell(self, timer: Any) -> SafeString | str:
        if self._held_up(timer) and due_since(timer, timer.read_at) is not None:
            return format_html("– (due since {})", cells.near(timer.next_fire_at, timer.read_at))
        return cells.near(timer.next_fire_at, timer.read_at)

    @admin.display(description="last fire")
    def last_cell(self, timer: Any) -> SafeString | str:
        return cells.near(timer.last_fire_at, timer.read_at)

    @admin.display(description="last outcome")
    def outcome_cell(self, timer: Timer) -> SafeString | str:
        return cells.state(timer.last_outcome)

    @admin.display(description="next fires")
    def following_cell(self, timer: Timer) -> SafeString | str:
        if timer.next_fire_at is None:
            return "–"
        try:
            preview = preview_of(timer, _NEXT, after=timer.next_fire_at - _MICROSECOND)
        except InvalidRequest as error:
            return format_html('<p class="timers-why">{}</p>', str(error))
        lines = ((instant.wall, f" – {instant.note}" if instant.note else "") for instant in preview.instants)
        listed = format_html_join("", "<div>{}{}</div>", lines) or "–"
        return listed + format_html_join(
            "", '<p class="timers-why">{}</p>', ((warning.text,) for warning in preview.warnings)
        )

    @admin.display(description="held by a worker")
    def in_flight_cell(self, timer: Timer) -> str:
        return ", ".join(claimed_executions(timer)) or "–"

    @admin.display(description="waiting")
    def waiting_cell(self, timer: Timer) -> SafeString | str:
        rows = [
            row
            for state in ("failed", "ready", "queued")
            for row in executions.waiting(state, timer_id=timer.pk, limit=_HISTORY)
        ]
        lines = (
            (
                cells.link("waiting", row.id, row.state),
                plural(row.attempt, "try", "tries"),
                row.error_title or row.reason,
            )
            for row in rows
        )
        return format_html_join("", "<div>{} after {} {}</div>", lines) or "–"

    @admin.display(description="latest attempts")
    def history_cell(self, timer: Timer) -> SafeString | str:
        lines = (
            (
                cells.link("attempt", row.id, row.outcome),
                cells.when(row.scheduled_for),
                row.attempt,
                "–" if row.lateness_ms is None else f"{milliseconds(row.lateness_ms)} late",
                row.ran_on,
                row.error_title or row.reason,
            )
            for row in executions.latest(_HISTORY, timer_id=timer.pk)
        )
        rows = format_html_join("", "<tr>" + "<td>{}</td>" * 6 + "</tr>", lines)
        return format_html('<table class="timers-plain">{}</table>', rows) if rows else "–"

    @admin.display(description="declared in")
    def source_cell(self, timer: Timer) -> str:
        return f"{timer.source} of {timer.owner}" if timer.owner else timer.source or "–"

    @admin.display(description="created")
    def created_told(self, timer: Timer) -> SafeString:
        return _told(cells.when(timer.created_at), timer.created_by)

    @admin.display(description="changed")
    def updated_told(self, timer: Timer) -> SafeString:
        return _told(cells.when(timer.updated_at), timer.updated_by)

    @admin.action(description="Pause: fire no more until resumed", permissions=["change"])
    def pause(self, request: HttpRequest, rows: QuerySet[Timer]) -> None:
        self._each(request, rows, "paused", lambda timer, actor: pause_timer(timer.group.name, timer.name, actor=actor))

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, rows: QuerySet[Timer]) -> None:
        self._each(
            request, rows, "resumed", lambda timer, actor: resume_timer(timer.group.name, timer.name, actor=actor)
        )

    @admin.action(description="Fire now: once, in addition to the schedule", permissions=["change"])
    def fire_now(self, request: HttpRequest, rows: QuerySet[Timer]) -> None:
        self._fire(request, rows)

    @admin.action(description="Fire now, also while an execution runs", permissions=["change"])
    def fire_overlapping(self, request: HttpRequest, rows: QuerySet[Timer]) -> None:
        self._fire(request, rows, overlap="allow")

    @admin.action(description="Pause until ...", permissions=["change"])
    def pause_until(self, request: HttpRequest, rows: QuerySet[Timer]) -> TemplateResponse | None:
        actor = request.user.get_username()

        def call(timer: Timer, **answers: Any) -> Timer:
            return pause_timer(timer.group.name, timer.name, actor=actor, **answers)

        return ask(self, request, rows, PauseQuestion, call, title="Pause until", done="paused")

    @admin.action(description="Backfill a past stretch ...", permissions=["change"])
    def backfill(self, request: HttpRequest, rows: QuerySet[Timer]) -> TemplateResponse | None:
        actor = request.user.get_username()

        def call(timer: Timer, **answers: Any) -> str:
            filled = backfill_timer(timer.group.name, timer.name, actor=actor, **answers)
            return plural(filled.executions, "execution")

        return ask(self, request, rows, BackfillQuestion, call, title="Backfill", done="backfilled")

    @admin.action(description="Skip the next fire", permissions=["change"])
    def skip_next(self, request: HttpRequest, rows: QuerySet[Timer]) -> None:
        self._each(
            request, rows, "skipped", lambda timer, actor: skip_next_fire(timer.group.name, timer.name, actor=actor)
        )

    @admin.action(description="Cancel: never fire again", permissions=["change"])
    def cancel(self, request: HttpRequest, rows: QuerySet[Timer]) -> None:
        self._each(
            request, rows, "cancelled", lambda timer, actor: cancel_timer(timer.group.name, timer.name, actor=actor)
        )

    def _fire(self, request: HttpRequest, rows: QuerySet[Timer], **how: Any) -> None:
        def call(timer: Timer, actor: str) -> None:
            fire_timer(timer.group.name, timer.name, actor=actor, **how)

        self._each(request, rows, "fired", call)

    def _each(
        self, request: HttpRequest, rows: QuerySet[Timer], done: str, call: Callable[[Timer, str], Answer]
    ) -> None:
        actor = request.user.get_username()
        for_each(self, request, rows, lambda timer: call(timer, actor), done)


def _told(when: SafeString | str, who: str) -> SafeString:
    return format_html("{} by {}", when, who) if who else format_html("{}", when)
