"""Route of the handler endpoint: run a handler and return its outcome in a form that an http action understands."""

from __future__ import annotations

from typing import Annotated, Any, Final

from django.http import HttpRequest, HttpResponse
from ninja import Body as InBody
from ninja import Router
from pydantic import BaseModel, Field, WithJsonSchema

from timers.api.handler_endpoint import run_handler
from timers.api.problems import Code, Problem
from timers.api.route import route
from timers.security.request_id import current_request_id

router = Router(tags=["handlers"])
_CODES: Final[dict[int, Code]] = {422: "invalid", 500: "failed", 503: "unavailable"}
_OUTCOMES: Final[dict[str, Any]] = {
    "responses": {
        422: {"headers": {"timer-outcome": {"schema": {"enum": ["fail"]}}}},
        503: {"headers": {"timer-outcome": {"schema": {"enum": ["discard", "snooze"]}}}},
    }
}
Message = Annotated[Any, WithJsonSchema({"description": "An envelope, or any other value: the payload then."})]


class HandlerAnswer(BaseModel):
    """A handler succeeded."""

    result: Any = Field(description="What it returned; null where that is no JSON or longer than 8 KB.")


@route(
    router, "POST", "/handlers/{handler}", scope="schedule", answer=HandlerAnswer, all_groups=True,
    unrepeatable="what a handler does is in no transaction that could keep its answer", openapi=_OUTCOMES,
)  # fmt: skip
def call_handler(request: HttpRequest, handler: str, body: InBody[Message]) -> HandlerAnswer | HttpResponse:
    """Run a handler in the process that receives the request, and wait until it ends.

    An exception of the handler is reported by the status, `Retry-After` and the header `timer-outcome`: discard, snooze
    or fail. An Idempotency-Key is refused, because the handler would run again anyway.
    """
    answered = run_handler(handler, body)
    if answered.status == 200:
        return HandlerAnswer(result=answered.result)
    response = Problem(_CODES[answered.status], answered.detail).response(current_request_id.get())
    for name, value in answered.headers.items():
        response.headers[name] = value
    return response
