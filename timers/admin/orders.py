"""Orders of chains: place, variables and history of each; suspend, resume, skip and cancel them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from timers import chains
from timers.admin import cells
from timers.admin.actions import for_each
from timers.admin.asking import PriorityQuestion, ReasonQuestion, ask
from timers.admin.bounded import ReadOnlyAdmin
from timers.admin.filters import GroupFilter
from timers.admin.json_text import body
from timers.admin.search import execution_in, timers_meant
from timers.models import ChainOrder

_SHOWN: Final = 100
"""Maximum number of attempts that a page shows."""
_BODIES: Final = ("variables", "visits", "pending", "result")


@admin.register(ChainOrder)
class ChainOrderAdmin(ReadOnlyAdmin):
    """Orders, newest first, including branches and sub-chains."""

    list_display = (
        "name", "chain_cell", "step", "state_cell", "outcome", "reason_cell", "group_cell", "created_cell",
        "changed_cell",
    )  # fmt: skip
    list_filter = (GroupFilter,)
    list_select_related = ("group", "chain")
    search_fields = ("=id",)
    search_help_text = "An order's id, a timer's id, its exact name, or group/name."
    actions = ("suspend", "resume", "resume_with_newest", "skip", "prioritize", "cancel")
    fields = (
        "state_cell", "name", "group_cell", "chain_cell", "version_cell", "timer_cell", "id", "root", "parent",
        "branch_of", "branch_name", "branch_index", "step", "reason", "outcome", "available_at", "deadline_at",
        "priority", "attempts", "setbacks", "is_suspend_requested", "in_finally", "variables_cell", "visits_cell",
        "pending_cell", "result_cell", "history_cell", "created_at", "changed_at", "ended_at",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = (
            super().get_queryset(request).select_related("group", "chain").annotate(read_at=cells.read_at())
        )
        return rows.defer(*_BODIES) if self.is_list(request) else rows.select_related("version")

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        order = execution_in(term)
        if order is not None:
            return queryset.filter(pk=order), False
        return queryset.filter(timer_id__in=timers_meant(term)), False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Allow users who may decide on waiting executions: they may decide on orders."""
        return request.user.has_perm("timers.change_waiting")

    @admin.display(description="state")
    def state_cell(self, row: ChainOrder) -> SafeString | str:
        return cells.state(row.state)

    @admin.display(description="group")
    def group_cell(self, row: ChainOrder) -> str:
        return row.group.name

    @admin.display(description="chain")
    def chain_cell(self, row: ChainOrder) -> SafeString | str:
        return cells.link("chain", row.chain_id, row.chain.name)

    @admin.display(description="version")
    def version_cell(self, row: ChainOrder) -> int:
        return row.version.version

    @admin.display(description="timer")
    def timer_cell(self, row: ChainOrder) -> SafeString | str:
        return cells.link("timer", row.timer_id, f"{row.name} (id {row.timer_id})")

    @admin.display(description="reason")
    def reason_cell(self, row: ChainOrder) -> str:
        return row.reason.split("\n", 1)[0][:120]

    @admin.display(description="began")
    def created_cell(self, row: Any) -> SafeString | str:
        return cells.near(row.created_at, row.read_at)

    @admin.display(description="changed")
    def changed_cell(self, row: Any) -> SafeString | str:
        return cells.near(row.changed_at, row.read_at)

    @admin.display(description="variables")
    def variables_cell(self, row: ChainOrder) -> SafeString | str:
        return body(row.variables)

    @admin.display(description="visits")
    def visits_cell(self, row: ChainOrder) -> SafeString | str:
        return body(row.visits)

    @admin.display(description="outcome after the finally steps")
    def pending_cell(self, row: ChainOrder) -> SafeString | str:
        return body(row.pending)

    @admin.display(description="result")
    def result_cell(self, row: ChainOrder) -> SafeString | str:
        return body(row.result)

    @admin.display(description="the latest attempts")
    def history_cell(self, row: ChainOrder) -> SafeString | str:
        found = chains.history(str(row.pk), after=max(0, row.attempts - _SHOWN), limit=_SHOWN + 1)
        lines = (
            (f"{each.attempt}.", each.step or "end", cells.state(each.outcome), each.node, cells.when(each.finished_at),
             each.error[:120], _names(each))
            for each in found
        )  # fmt: skip
        return format_html_join("", "<div>{} {} {} {} {} {} {}</div>", lines) or "–"

    @admin.action(description="Suspend: each stops until it is resumed …", permissions=["operate"])
    def suspend(self, request: HttpRequest, rows: QuerySet[ChainOrder]) -> TemplateResponse | None:
        title = "Suspend: each of them stops until it is resumed"
        return self._ask(request, rows, chains.suspend_order, title, "suspended")

    @admin.action(description="Resume: where they are, or from the step that failed", permissions=["operate"])
    def resume(self, request: HttpRequest, rows: QuerySet[ChainOrder]) -> None:
        self._each(request, rows, chains.resume_order, "resumed")

    @admin.action(description="Resume with the newest version of their chain", permissions=["operate"])
    def resume_with_newest(self, request: HttpRequest, rows: QuerySet[ChainOrder]) -> None:
        self._each(request, rows, partial(chains.resume_order, version="newest"), "resumed")

    @admin.action(description="Skip the step that they are at", permissions=["operate"])
    def skip(self, request: HttpRequest, rows: QuerySet[ChainOrder]) -> None:
        self._each(request, rows, chains.skip_step_of, "moved on")

    @admin.action(description="Set the priority …", permissions=["operate"])
    def prioritize(self, request: HttpRequest, rows: QuerySet[ChainOrder]) -> TemplateResponse | None:
        actor = request.user.get_username()

        def one(row: ChainOrder, priority: int) -> None:
            chains.prioritize_order(str(row.pk), priority, actor=actor)

        title = "Set the priority: higher ones are claimed first"
        return ask(self, request, rows, PriorityQuestion, one, title=title, done="prioritized")

    @admin.action(description="Cancel: by their finally steps …", permissions=["operate"])
    def cancel(self, request: HttpRequest, rows: QuerySet[ChainOrder]) -> TemplateResponse | None:
        title = "Cancel: their finally steps run, then they end"
        return self._ask(request, rows, chains.cancel_order, title, "cancelled")

    def _each(self, request: HttpRequest, rows: QuerySet[ChainOrder], call: Callable[..., Any], done: str) -> None:
        actor = request.user.get_username()

        def one(row: ChainOrder) -> None:
            call(str(row.pk), actor=actor)

        for_each(self, request, rows, one, done)

    def _ask(
        self, request: HttpRequest, rows: QuerySet[ChainOrder], call: Callable[..., Any], title: str, done: str
    ) -> TemplateResponse | None:
        actor = request.user.get_username()

        def one(row: ChainOrder, reason: str) -> None:
            call(str(row.pk), reason=reason, actor=actor)

        return ask(self, request, rows, ReasonQuestion, one, title=title, done=done)


def _names(attempt: chains.StepAttempt) -> str:
    """Return the names of the variables that an attempt set and changed."""
    told = {"set": attempt.set_variables, "changed": attempt.changed_variables}
    return "; ".join(f"{word} {', '.join(names)}" for word, names in told.items() if names)
