"""Every address of the service."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from timers.access.sign_in_limit import AdminSignInForm

admin.autodiscover()
admin.site.login_form = AdminSignInForm

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("timers.api.urls")),
    path("", include("timers.console.urls")),
]

handler500 = "timerproject.unavailable.server_error"
