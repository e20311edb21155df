"""Actions on selected rows: one call of control for each; refusals are shown, changes are logged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from timers.exceptions import TimersError
from timers.insights.words import in_flight_words, plural

MOST: Final = 1_000
"""Maximum number of rows of one action."""
_TOLD: Final = 5


class Changed(Protocol):
    """Result of a change by control; it names the executions that the change came too late for."""

    @property
    def in_flight(self) -> Sequence[str]:
        """Ids of these executions."""


Answer = str | Changed | None
"""A message for the user, the result of a change, or None."""


def for_each(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    rows: QuerySet[Any],
    call: Callable[[Any], Answer],
    done: str,
) -> None:
    """Call control for each row, and name the executions already in flight. `done`: the verb in the past tense."""
    chosen: list[Model] = list(rows.order_by("pk")[: MOST + 1])
    if len(chosen) > MOST:
        model_admin.message_user(
            request, f"Nothing was done: choose at most {MOST:,} at once, with a filter or a search.", messages.ERROR
        )
        return
    succeeded, remarks, refusals = 0, [], []
    for row in chosen:
        try:
            remark = _remark(call(row))
        except TimersError as error:
            refusals.append(f"{row}: {error}")
            continue
        succeeded += 1
        if remark:
            remarks.append(f"{row}: {remark}")
        model_admin.log_change(request, row, done.capitalize())
    if succeeded:
        name = model_admin.opts.verbose_name
        text = f"{done.capitalize()}: {plural(succeeded, str(name), str(model_admin.opts.verbose_name_plural))}."
        model_admin.message_user(request, _with(text, remarks), messages.SUCCESS)
    if refusals:
        model_admin.message_user(request, _with(f"Refused: {len(refusals):,}.", refusals), messages.WARNING)


def _remark(answer: Answer) -> str:
    if answer is None or isinstance(answer, str):
        return answer or ""
    return in_flight_words(answer.in_flight)


def _with(text: str, lines: Iterable[str]) -> str:
    lines = list(lines)
    more = [f"and {len(lines) - _TOLD:,} more"] if len(lines) > _TOLD else []
    return " ".join([text, "; ".join([*lines[:_TOLD], *more])]).strip()
