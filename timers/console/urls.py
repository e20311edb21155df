"""The addresses of the console."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from timers.access.sign_in_limit import SignInForm
from timers.console import overview, sign_in

urlpatterns = [
    path("", overview.overview, name="overview"),
    path(
        "login/",
        LoginView.as_view(
            template_name="sign_in/login.html", redirect_authenticated_user=True, authentication_form=SignInForm
        ),
        name="login",
    ),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("sign-in/<uid>/<token>/", sign_in.sign_in_by_link, name="sign-in-by-link"),
]
