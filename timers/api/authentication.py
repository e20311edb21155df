"""Authentication and authorization: by an application key or by the session of a signed-in user.

Both are checked before the body is read, so an unauthorized caller learns nothing about what a valid body would be.
"""

from __future__ import annotations

from typing import Any, Final, cast

from django.conf import settings
from django.http import HttpRequest
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from timers.api.problems import Problem, not_found
from timers.api.slashes import path_names
from timers.api.visible import is_visible
from timers.security.authentication import KeyRefused, caller_of_key, caller_of_user
from timers.security.caller import Caller
from timers.security.client_address import client_address
from timers.security.rate_limits import check_rate, count_failure

_UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Scoped(AuthBase):
    """Authentication that accepts callers with a scope who may see the group in the path."""

    def __init__(self, scope: str | None, *, all_groups: bool = False) -> None:
        self.scope = scope
        self.all_groups = all_groups
        super().__init__()

    def __call__(self, request: HttpRequest) -> Caller | None:
        """Return the caller; None if this method of authentication was not used. Raises Problem."""
        caller = self.caller(request)
        if caller is None:
            return None
        check_rate(caller)
        self._check_allowed(caller, request)
        return caller

    def caller(self, request: HttpRequest) -> Caller | None:
        """Return the authenticated caller; None if this method of authentication was not used."""
        raise NotImplementedError

    def _check_allowed(self, caller: Caller, request: HttpRequest) -> None:
        if self.scope is not None and not caller.may(self.scope):
            raise Problem("forbidden", f"This needs the scope {self.scope}, which this key does not have.")
        if self.all_groups and not caller.has_all_groups:
            raise Problem("forbidden", "This concerns the whole cluster, and this key is for certain groups only.")
        for word, value in path_names(request).items():
            if not is_visible(caller, word, value):
                raise not_found(f"{word} {value!r}")


class ApplicationKey(Scoped):
    """`Authorization: Bearer tk_...`. With this header, cookies are ignored."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def caller(self, request: HttpRequest) -> Caller | None:
        """Return the key's caller. Raises Problem if the key is not valid."""
        header = request.headers.get("Authorization")
        if header is None:
            return None
        address = client_address(request)
        kind, _, text = header.partition(" ")
        try:
            if kind.lower() != "bearer":
                raise KeyRefused
            return caller_of_key(text.strip(), address)
        except KeyRefused:
            count_failure(address)
            raise Problem(
                "unauthorized", "This is no valid application key; give one as `Authorization: Bearer tk_...`."
            ) from None


class Session(Scoped):
    """Session cookie of a signed-in user. Requests that change something need the CSRF token in X-CSRFToken."""

    openapi_type = "apiKey"
    openapi_in = "cookie"
    openapi_name = settings.SESSION_COOKIE_NAME

    def caller(self, request: HttpRequest) -> Caller | None:
        """Return the user's caller; None if nobody has signed in."""
        user: Any = request.user
        if not user.is_authenticated:
            return None
        if request.method in _UNSAFE and check_csrf(request) is not None:
            raise Problem("forbidden", "The CSRF token is missing or wrong; send it as X-CSRFToken.")
        return caller_of_user(user)


def needs(scope: str | None, *, all_groups: bool = False) -> list[Scoped]:
    """Return the authentication methods for callers with the scope.

    `all_groups`: reject keys that are limited to some groups.
    """
    return [ApplicationKey(scope, all_groups=all_groups), Session(scope, all_groups=all_groups)]


def caller(request: HttpRequest) -> Caller:
    """Return the caller of an authenticated request."""
    return cast("Caller", request.auth)  # type: ignore[attr-defined]
