"""The addresses of the API."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.urls import include, path

from timers.api import description_pages, health
from timers.api.api import api

_patterns: list[Any] = api.urls[0]
for _pattern in _patterns:
    # Callers are let in, or not, by each route itself: no page to sign in stands before it.
    _pattern.callback.login_required = False

urlpatterns = [
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("api/v1/docs", login_required(description_pages.pages), name="api-docs"),
    path("api/v1/", include((_patterns, "timers-api"))),
]
