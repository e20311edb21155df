"""Where the description is served: as JSON for programs, and as pages for people, with nothing from other hosts."""

from __future__ import annotations

import json
from functools import cache
from typing import Final

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from ninja import Router

from timers.api.route import route

router = Router(tags=["description"])

# Swagger UI sets style attributes by itself; scripts and everything else stay as strict as anywhere.
_POLICY: Final = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)


@route(router, "GET", "/openapi.json", scope=None, answer=None, status=200)
def openapi(request: HttpRequest) -> HttpResponse:
    """The description of this API (OpenAPI 3.1)."""
    return HttpResponse(description(), content_type="application/json")


@cache
def description() -> bytes:
    """The description as JSON; put together once, as that takes longer than any request should."""
    from timers.api.api import api  # it holds this very router

    return json.dumps(api.get_openapi_schema(), cls=DjangoJSONEncoder).encode()


def pages(request: HttpRequest) -> HttpResponse:
    """The description as pages, to read and to try; for those who have signed in."""
    settings = {"url": reverse("timers:api:openapi"), "deepLinking": True, "persistAuthorization": False}
    response = render(request, "timers/api/docs.html", {"swagger": settings})
    response.headers["Content-Security-Policy"] = _POLICY
    return response
