"""A link that signs one person in, once, within an hour: it lets the first administrator in without a password."""

from __future__ import annotations

from typing import Final

from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.encoding import force_bytes, force_str
from django.utils.http import base36_to_int, urlsafe_base64_decode, urlsafe_base64_encode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

VALID_FOR: Final = 3600
"""Seconds."""


class SignInTokens(PasswordResetTokenGenerator):
    """Tokens that become invalid with the next login of their user, with a new password, or after an hour."""

    key_salt = "timerproject.sign_in.link"

    def check_token(self, user: User | None, token: str | None) -> bool:
        if not super().check_token(user, token) or token is None:
            return False
        made = base36_to_int(token.split("-")[0])
        return self._num_seconds(self._now()) - made <= VALID_FOR


tokens: Final = SignInTokens()


def sign_in_path(user: User) -> str:
    """Return the path of a link that signs this user in once."""
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("sign-in-by-link", args=[uid, tokens.make_token(user)])


@never_cache
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_by_link(request: HttpRequest, uid: str, token: str) -> HttpResponse:
    """Ask on GET, sign in on POST: a mail scanner or a preview that follows the link does not use it up."""
    user = _user(uid)
    if user is None or not tokens.check_token(user, token):
        return render(request, "sign_in/link_ended.html", status=410)
    if request.method != "POST":
        return render(request, "sign_in/link.html", {"user_name": user.get_username()})
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return redirect("/")


def _user(uid: str) -> User | None:
    users = User.objects.filter(is_active=True)
    try:
        return users.get(pk=force_str(urlsafe_base64_decode(uid)))
    except (ValueError, OverflowError, User.DoesNotExist):
        return None
