"""URLs of sign-in and sign-out."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from timerproject.sign_in.limit import SignInForm
from timerproject.sign_in.link import sign_in_by_link

urlpatterns = [
    path(
        "login/",
        LoginView.as_view(
            template_name="sign_in/login.html", redirect_authenticated_user=True, authentication_form=SignInForm
        ),
        name="login",
    ),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("sign-in/<uid>/<token>/", sign_in_by_link, name="sign-in-by-link"),
]
