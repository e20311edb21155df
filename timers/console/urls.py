"""URL patterns of the console."""

from __future__ import annotations

from django.urls import path

from timers.console import overview

urlpatterns = [path("", overview.overview, name="overview")]
