"""Actions that need input: an intermediate page with a form, between selecting the rows and changing them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.widgets import AdminSplitDateTime
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

from timers.admin.actions import Answer, for_each
from timers.admin.json_text import JSONTextField
from timers.control.backfill import OVERLAP
from timers.domain.chains.limits import MAX_PRIORITY

_SHOWN = 20


class PauseQuestion(forms.Form):
    """End and reason of a pause."""

    until = forms.SplitDateTimeField(widget=AdminSplitDateTime, help_text="Resumed by itself at this instant.")
    reason = forms.CharField(required=False)


class BackfillQuestion(forms.Form):
    """Time range and options of a backfill."""

    start = forms.SplitDateTimeField(widget=AdminSplitDateTime, help_text="The first occurrence at or after it runs.")
    end = forms.SplitDateTimeField(widget=AdminSplitDateTime, help_text="The last occurrence before it runs.")
    overlap = forms.ChoiceField(
        choices=zip(OVERLAP, ("queue: one after the other, oldest first", "allow: as many at once as there are slots"),
                    strict=True)
    )  # fmt: skip
    per_second = forms.FloatField(
        required=False, help_text="No more than so many become ready in a second; empty: all."
    )


class ReasonQuestion(forms.Form):
    """Reason of a change."""

    reason = forms.CharField(required=False, help_text="Stands in the ledger with the outcome.")


class PriorityQuestion(forms.Form):
    """New priority."""

    priority = forms.IntegerField(
        min_value=-MAX_PRIORITY, max_value=MAX_PRIORITY, initial=0, help_text="Higher ones are claimed first."
    )


class PayloadQuestion(forms.Form):
    """Payload of a retry."""

    payload = JSONTextField(required=False, help_text="JSON. Each of the executions chosen gets it; empty: null.")


def ask(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    rows: QuerySet[Any],
    question: type[forms.Form],
    call: Callable[..., Answer],
    *,
    title: str,
    done: str,
    initial: dict[str, Any] | None = None,
) -> TemplateResponse | None:
    """Show the form until it is valid, then call control for each row with the row and the form's values."""
    form = question(request.POST) if "answered" in request.POST else question(initial=initial)
    if form.is_bound and form.is_valid():
        for_each(model_admin, request, rows, lambda row: call(row, **form.cleaned_data), done)
        return None
    chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "form": form,
        "media": model_admin.media + form.media,
        "opts": model_admin.opts,
        "rows": list(rows.order_by("pk")[:_SHOWN]),
        "more": max(0, len(chosen) - _SHOWN),
        "chosen": chosen,
        "checkbox": ACTION_CHECKBOX_NAME,
        "action": request.POST["action"],
        "select_across": request.POST.get("select_across", "0"),
    }
    return TemplateResponse(request, "admin/timers/ask.html", context)
