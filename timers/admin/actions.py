"""Actions on selected rows: one call of control for each, what was refused is told, what was done is logged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from timers.exceptions import TimersError
from timers.insights.words import plural

MOST: Final = 1_000
"""Rows that one action takes."""
_TOLD: Final = 5


def for_each(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    rows: QuerySet[Any],
    call: Callable[[Any], str | None],
    done: str,
) -> None:
    """Call control for each row. `call` may return a remark for the person; `done` is the verb in the past."""
    chosen: list[Model] = list(rows.order_by("pk")[: MOST + 1])
    if len(chosen) > MOST:
        model_admin.message_user(
            request, f"Nothing was done: choose at most {MOST:,} at once, with a filter or a search.", messages.ERROR
        )
        return
    succeeded, remarks, refusals = 0, [], []
    for row in chosen:
        try:
            remark = call(row)
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


def _with(text: str, lines: Iterable[str]) -> str:
    lines = list(lines)
    more = [f"and {len(lines) - _TOLD:,} more"] if len(lines) > _TOLD else []
    return " ".join([text, "; ".join([*lines[:_TOLD], *more])]).strip()
