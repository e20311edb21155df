"""Every address of the app; a project includes it under any prefix: `path("timers/", include("timers.urls"))`."""

from __future__ import annotations

from django.urls import include, path

app_name = "timers"
urlpatterns = [
    path("", include("timers.api.urls")),
    path("", include("timers.console.urls")),
]
