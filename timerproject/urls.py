"""URLs of the service."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from timerproject.sign_in.limit import AdminSignInForm

admin.autodiscover()
admin.site.login_form = AdminSignInForm

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("timerproject.sign_in.urls")),
    path("", include("timers.urls")),
]

handler500 = "timerproject.unavailable.server_error"
