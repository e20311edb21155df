"""The ledger: every attempt and every final outcome. Nobody can edit history, not even a superuser."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from timers import clock
from timers.admin import cells
from timers.admin.bounded import ReadOnlyAdmin
from timers.admin.filters import GroupFilter
from timers.admin.json_text import body
from timers.admin.keyset import KeysetChangeList
from timers.admin.search import execution_in, timers_meant
from timers.domain.execution_id import MAX_TRIES, lower_bound
from timers.insights import executions
from timers.insights.ledger_order import execution_of, newest_first
from timers.insights.words import milliseconds
from timers.models import Attempt, Timer, TimerGroup
from timers.schedules.instant import to_microseconds
from timers.schedules.lateness import lateness

_MILLISECOND = 1_000  # microseconds: the resolution of instants in an id
_BODIES = ("result", "error_detail", "log", "exchange")


class ScheduledFilter(admin.SimpleListFilter):
    """Filter by age: a bound on the key, which begins with the instant."""

    title = "scheduled for"
    parameter_name = "within"
    _SPANS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(word, f"the last {word}") for word in self._SPANS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        span = self._SPANS.get(self.value() or "")
        if span is None:
            return queryset
        now = clock.now()
        return queryset.filter(
            pk__gte=lower_bound(to_microseconds(now - span)), pk__lt=lower_bound(to_microseconds(now) + _MILLISECOND)
        )


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Ledger rows, newest occurrence first; each row links to all attempts of its execution."""

    list_display = (
        "outcome_cell", "name", "step_cell", "error_cell", "scheduled_near", "late_cell", "took_cell", "attempt",
        "ran_on_cell", "group_cell",
    )  # fmt: skip
    list_display_links = ("outcome_cell", "name")
    list_filter = (ScheduledFilter, "outcome", GroupFilter)
    search_fields = ("=id",)
    search_help_text = "An execution's id, a timer's id, its exact name, or group/name."
    fields = (
        "outcome_cell", "reason", "name", "group_cell", "timer_cell", "execution_cell", "tries_cell", "step",
        "attempt", "origin", "scheduled_for_cell", "claimed_cell", "started_cell", "finished_cell", "late_cell",
        "took_cell", "missed_count", "ran_on_cell", "fence", "error_title", "error_detail_cell", "error_fingerprint",
        "result_cell", "log_cell", "exchange_cell",
    )  # fmt: skip
    readonly_fields = fields

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeysetChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = (
            super()
            .get_queryset(request)
            .annotate(
                group_name=Subquery(TimerGroup.objects.filter(id=OuterRef("group_id")).values("name")),
                timer_jitter=Subquery(Timer.objects.filter(id=OuterRef("timer_id")).values("jitter")),
                read_at=cells.read_at(),
            )
        )
        return rows.defer(*_BODIES) if self.is_list(request) else rows

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        execution = execution_in(term)
        if execution is not None:
            return queryset.filter(pk__range=_tries(execution)), False
        meant = timers_meant(term)
        if not meant and term.isascii() and term.isdigit() and len(term) < 19:
            meant = [int(term)]  # a deleted timer, whose history still exists
        return queryset.filter(timer_id__in=meant), False

    @admin.display(description="outcome")
    def outcome_cell(self, row: Attempt) -> SafeString | str:
        return cells.state(row.outcome)

    @admin.display(description="step")
    def step_cell(self, row: Attempt) -> str:
        return row.step or "–"

    @admin.display(description="group")
    def group_cell(self, row: Any) -> str:
        return row.group_name or f"{row.group_id} (gone)"

    @admin.display(description="timer")
    def timer_cell(self, row: Attempt) -> SafeString | str:
        if Timer.objects.filter(id=row.timer_id).exists():
            return cells.link("timer", row.timer_id, f"{row.name} (id {row.timer_id})")
        return f"{row.name} (id {row.timer_id}, gone)"

    @admin.display(description="execution")
    def execution_cell(self, row: Attempt) -> str:
        return str(_tries(row.pk)[0])

    @admin.display(description="all tries")
    def tries_cell(self, row: Attempt) -> SafeString | str:
        rows = Attempt.objects.filter(pk__range=_tries(row.pk)).only("id", "attempt", "outcome", "finished_at")[:50]
        ordered = reversed(newest_first(rows, lambda one: one.pk))
        return format_html_join(
            "",
            "<div>{} {} {}</div>",
            (
                (f"{one.attempt}.", cells.link("attempt", one.pk, one.outcome), cells.when(one.finished_at))
                for one in ordered
            ),
        )

    @admin.display(description="scheduled for")
    def scheduled_for_cell(self, row: Attempt) -> SafeString | str:
        return cells.when(row.scheduled_for)

    @admin.display(description="scheduled for")
    def scheduled_near(self, row: Any) -> SafeString | str:
        return cells.near(row.scheduled_for, row.read_at)

    @admin.display(description="claimed at")
    def claimed_cell(self, row: Attempt) -> SafeString | str:
        return cells.when(row.claimed_at)

    @admin.display(description="started at")
    def started_cell(self, row: Attempt) -> SafeString | str:
        return cells.when(row.started_at)

    @admin.display(description="finished at")
    def finished_cell(self, row: Attempt) -> SafeString | str:
        return cells.when(row.finished_at)

    @admin.display(description="late")
    def late_cell(self, row: Any) -> str:
        """Render the lateness; retries have none, because they are late by design, and pulled executions have none."""
        if row.started_at is None or row.attempt != 1 or row.worker is None:
            return "–"
        late = lateness(row.started_at, row.scheduled_for, origin=row.origin, name=row.name, jitter=row.timer_jitter)
        return milliseconds(late.total_seconds() * 1000)

    @admin.display(description="took")
    def took_cell(self, row: Attempt) -> str:
        if row.started_at is None:
            return "–"
        return milliseconds((row.finished_at - row.started_at).total_seconds() * 1000)

    @admin.display(description="ran on")
    def ran_on_cell(self, row: Attempt) -> str:
        return executions.ran_on(row.node, row.worker) or "–"

    @admin.display(description="error")
    def error_cell(self, row: Attempt) -> str:
        return (row.error_title or row.reason or "").split("\n", 1)[0][:120]

    @admin.display(description="error in full")
    def error_detail_cell(self, row: Attempt) -> SafeString | str:
        return body(row.error_detail)

    @admin.display(description="result")
    def result_cell(self, row: Attempt) -> SafeString | str:
        return body(row.result)

    @admin.display(description="log")
    def log_cell(self, row: Attempt) -> SafeString | str:
        return body(row.log)

    @admin.display(description="call")
    def exchange_cell(self, row: Attempt) -> SafeString | str:
        """Render the request and response of an HTTP call."""
        return body(row.exchange)


def _tries(execution: UUID) -> tuple[UUID, UUID]:
    """Return the lowest and the highest id of an execution's rows."""
    return execution_of(execution), UUID(int=execution.int | MAX_TRIES)
