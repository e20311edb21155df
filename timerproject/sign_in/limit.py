"""Bounds on passwords that are tried: for each address and user name, and for each address, in each web process.

Nothing is locked: a bucket fills again by itself, and who tries from elsewhere has buckets of their own, so a stranger
does not keep the administrator out. An unknown user name is counted like a known one.
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
"""Tries per second of one user name from one address, and how many may come at once."""
FOR_AN_ADDRESS: Final = (1 / 6, 30.0)
"""The same for all user names from one address."""
_WAIT: Final = "sign_in_wait"
_TAKEN: Final = "sign_in_taken"

_tries = Throttle()


class SignInLimit:
    """Authentication backend, the first: it lets nobody in, and ends the try when there were too many."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **others: Any
    ) -> None:
        """Count a try; raises PermissionDenied, so that no password is compared, when it is one too many."""
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
    """What a form says when there were too many tries."""

    request: HttpRequest | None

    def get_invalid_login_error(self) -> ValidationError:
        """Return the error of the form as a whole."""
        wait = getattr(self.request, _WAIT, 0.0)
        if not wait:
            error: ValidationError = super().get_invalid_login_error()  # type: ignore[misc]
            return error
        return ValidationError(f"Too many attempts to sign in. Try again in {math.ceil(wait)} seconds.", code="limit")


class SignInForm(_Limited, AuthenticationForm):
    """The form of the console."""


class AdminSignInForm(_Limited, AdminAuthenticationForm):
    """The form of the admin."""


class SignInLimitMiddleware:
    """Answers a try that was one too many with 429 and Retry-After, whichever page it was made on."""

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
