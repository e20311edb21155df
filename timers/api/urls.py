"""URL patterns of the API."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from timers.api import description_pages, health
from timers.api.api import api

_patterns: list[Any] = api.urls[0]
_views = {pattern.name: pattern.callback for pattern in _patterns}
_bulk, _timer = _views["create_in_bulk"], _views["read_timer"]


def _bulk_or_timer(request: HttpRequest, group: str) -> HttpResponse:
    """Route a timer named "bulk": POST goes to bulk creation, because a timer's own URL accepts no POST."""
    answer: HttpResponse = (
        _bulk(request, group=group) if request.method == "POST" else _timer(request, group=group, name="bulk")
    )
    return answer


_bulk_or_timer.csrf_exempt = True  # type: ignore[attr-defined]  # as ninja's own views: sessions are checked by the API
for _pattern in _patterns:
    if _pattern.callback is _bulk:
        _pattern.callback = _bulk_or_timer
    # Each route authenticates its callers itself; there is no sign-in page.
    _pattern.callback.login_required = False

urlpatterns = [
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("api/v1/docs", login_required(description_pages.pages), name="api-docs"),
    path("api/v1/", include((_patterns, "api"))),
]
