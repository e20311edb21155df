"""Every address of the service."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("timers.api.urls")),
    path("", include("timers.console.urls")),
]

handler500 = "timerproject.unavailable.server_error"
