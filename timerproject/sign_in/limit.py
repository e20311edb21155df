"""Rate limits of sign-in attempts: per address and user name, and per address, in each web process.

No account is locked: a limit recovers by itself, and attempts from another address have limits of their own, so a
stranger cannot keep the administrator out. An unknown user name is counted like a known one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from timers.security.client_address import client_address
from timers.security.rate_limits import site_of
from timers.security.throttle import Throttle

FOR_A_USER: Final = (1 / 60, 5.0)
"""Attempts per second for one user name from one address, and the maximum burst."""
FOR_AN_ADDRESS: Final = (1 / 6, 30.0)
"""Attempts per second for all user names from one address, and the maximum burst."""
_WAIT: Final = "sign_in_wait"
_TAKEN: Final = "sign_in_taken"

_tries = Throttle()


class SignInLimit:
    """Authentication backend that runs first: it accepts no one, and ends an attempt that exceeds the limit."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **others: Any
    ) -> None:
        """Count an attempt; raise PermissionDenied, before a password is compared, if it exceeds the limit."""
        if request is None or username is None or password is None:
            return
        now, site = time.monotonic(), site_of(client_address(request))
        name = blake2b(username.encode("utf-8", "replace"), digest_size=16).hexdigest()
        taken = []
        for identity, (rate, burst) in ((site, FOR_AN_ADDRESS), (f"{site} {name}", FOR_A_USER)):
            wait = _tries.take(identity, rate, burst, now)
            if wait:
                setattr(request, _WAIT, wait)
                raise PermissionDenied
            taken.append((identity, burst))
        setattr(request, _TAKEN, taken)


class _Limited:
    """Mixin with the error message of a form when the limit is exceeded."""

    request: HttpRequest | None

    def get_invalid_login_error(self) -> ValidationError:
        """Return the error of the form as a whole."""
        wait = getattr(self.request, _WAIT, 0.0)
        if not wait:
            error: ValidationError = super().get_invalid_login_error()  # type: ignore[misc]
            return error
        return ValidationError(f"Too many attempts to sign in. Try again in {math.ceil(wait)} seconds.", code="limit")


class SignInForm(_Limited, AuthenticationForm):
    """Sign-in form of the console."""


class AdminSignInForm(_Limited, AdminAuthenticationForm):
    """Sign-in form of the admin."""


class SignInLimitMiddleware:
    """Respond to an attempt that exceeds the limit with 429 and Retry-After, on every page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        wait = getattr(request, _WAIT, 0.0)
        if wait:
            response.status_code = 429
            response.headers["Retry-After"] = str(math.ceil(wait))
        return response


def forget_tries() -> None:
    """Forget all attempts; for tests."""
    _tries.forget()


def _give_back(request: HttpRequest | None = None, **_: Any) -> None:
    for identity, burst in getattr(request, _TAKEN, ()):
        _tries.give_back(identity, burst)


user_logged_in.connect(_give_back, dispatch_uid=__name__)
