"""Values shown on one page, the response to the request that created them; in no session, message or log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.cache import add_never_cache_headers


def show_once(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    made: Sequence[tuple[Any, str]],
    *,
    title: str,
    words: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> HttpResponse:
    """Render the page with each row and its generated text. `words`: instructions for it."""
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.opts,
        "made": made,
        "words": words,
        "warnings": warnings,
    }
    response = TemplateResponse(request, "admin/timers/shown_once.html", context)
    add_never_cache_headers(response)
    return response
