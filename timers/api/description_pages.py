"""Views of the OpenAPI schema: as JSON for programs and as pages for people; nothing is loaded from other hosts."""

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

# Swagger UI sets style attributes itself; scripts and everything else keep the strict policy.
_POLICY: Final = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)


@route(router, "GET", "/openapi.json", scope=None, answer=None, status=200)
def openapi(request: HttpRequest) -> HttpResponse:
    """Return the OpenAPI 3.1 schema of this API."""
    return HttpResponse(description(), content_type="application/json")


@cache
def description() -> bytes:
    """Return the schema as JSON. It is built once, because building takes longer than a request should."""
    from timers.api.api import api  # the API module imports this router

    return json.dumps(api.get_openapi_schema(), cls=DjangoJSONEncoder).encode()


def pages(request: HttpRequest) -> HttpResponse:
    """Render the schema as pages, to read it and to try requests. Requires a signed-in user."""
    settings = {"url": reverse("timers:api:openapi"), "deepLinking": True, "persistAuthorization": False}
    response = render(request, "timers/api/docs.html", {"swagger": settings})
    response.headers["Content-Security-Policy"] = _POLICY
    return response
