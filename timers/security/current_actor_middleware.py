"""Middleware: whatever a page of the console or the admin asks for is asked for by who has signed in, from there."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from timers.security.client_address import client_address
from timers.security.current_actor import acting_as


class CurrentActorMiddleware:
    """Comes after Django's AuthenticationMiddleware; the API then says better who asks, for it knows of keys."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        def name() -> str:
            # Looked up only where it is needed: a program with a key has no session.
            return request.user.get_username()

        with acting_as(name, address=client_address(request)):
            return self.get_response(request)
