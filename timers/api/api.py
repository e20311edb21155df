"""The API object: its routers, its parser, and its exception handling."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import ValidationError, ValidationErrorContext

from timers.api import (
    audit,
    bulk,
    calendars,
    chain_locks,
    chains,
    claims,
    description_pages,
    executions,
    groups,
    handlers,
    keys,
    me,
    nodes,
    operations,
    order_verbs,
    orders,
    secrets,
    subscriptions,
    timer_verbs,
    timers,
)
from timers.api.description import DESCRIPTION, complete
from timers.api.invalid import in_our_words
from timers.api.refusals import problem_from_exception
from timers.api.strict_body import StrictParser
from timers.security.request_id import current_request_id
from timers.version import VERSION


class TimersAPI(NinjaAPI):
    """NinjaAPI that answers every error as a problem (RFC 9457) and documents these problems in its OpenAPI schema."""

    def on_exception(self, request: HttpRequest, exc: Any) -> HttpResponse:
        """Return the response for an exception that a request raised."""
        return problem_from_exception(exc, request.method).response(current_request_id.get())

    def validation_error_from_error_contexts(
        self, error_contexts: list[ValidationErrorContext[Any]]
    ) -> ValidationError:
        """Return the errors found in the parts of a request, with the service's own messages."""
        found = [
            problem
            for each in error_contexts
            for problem in in_our_words(
                each.pydantic_validation_error, each.model, each.model.__ninja_param_source__ or "body"
            )
        ]
        return ValidationError([asdict(problem) for problem in found])

    def get_openapi_schema(self, **kwargs: Any) -> Any:
        """Return the OpenAPI 3.1 schema, with every status of every operation."""
        return complete(super().get_openapi_schema(**kwargs))


api = TimersAPI(
    title="Distributed timers",
    version=VERSION,
    description=DESCRIPTION,
    urls_namespace="timers:api",
    parser=StrictParser(),
    docs_url=None,
    openapi_url=None,
)
# Literal paths are registered before paths with a parameter: /executions/retry before /executions/{execution}.
for router in (
    bulk.router,
    timers.router,
    timer_verbs.router,
    subscriptions.router,
    chains.router,
    chain_locks.router,
    order_verbs.router,
    orders.router,
    groups.router,
    operations.router,
    claims.router,
    executions.router,
    handlers.router,
    calendars.router,
    secrets.router,
    keys.router,
    me.router,
    nodes.router,
    audit.router,
    description_pages.router,
):
    api.add_router("", router)
