"""Middleware that makes the signed-in user the actor of requests of the console and the admin."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from timers.security.client_address import client_address
from timers.security.current_actor import acting_as


class CurrentActorMiddleware:
    """Sets the current actor: the signed-in user, and the client's address.

    Place it after Django's AuthenticationMiddleware. The API then sets the actor more precisely, because it knows keys.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        def name() -> str:
            # Looked up only if needed: a program with a key has no session.
            return request.user.get_username()

        with acting_as(name, address=client_address(request)):
            return self.get_response(request)
