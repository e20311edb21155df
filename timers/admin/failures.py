"""The failures page: executions that wait for a person, by fault, with bulk operations on each fault."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse

from timers import clock
from timers.admin import cells
from timers.insights.failures import Failure, failures


def failures_page(model_admin: ModelAdmin[Any], request: HttpRequest, *, may_operate: bool) -> TemplateResponse:
    """Render the faults, ordered by their number of executions, largest first."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    found, now = failures(), clock.now()
    rows = [
        {
            "failure": failure,
            "groups": ", ".join(failure.groups),
            "oldest": cells.near(failure.oldest, now),
            "newest": cells.near(failure.newest, now),
            "example": cells.link("waiting", failure.example, "example"),
            "retry": _asking(failure, "retry"),
            "dismiss": _asking(failure, "dismiss"),
        }
        for failure in found.failures
    ]
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Failed executions by fault",
        "opts": model_admin.opts,
        "media": model_admin.media,
        "rows": rows,
        "more": found.more,
        "may_operate": may_operate,
    }
    return TemplateResponse(request, "admin/timers/failures.html", context)


def _asking(failure: Failure, verb: str) -> str:
    """Return the URL of the form with the fault filled in; empty for a fault without fingerprint."""
    if not failure.fingerprint:
        return ""
    filled_in = urlencode({"verb": verb, "fingerprint": failure.fingerprint})
    return f"{reverse('admin:timers_bulkoperation_add')}?{filled_in}"
