"""Problems: the format of every error response (RFC 9457, application/problem+json)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final, Literal

from django.http import HttpResponse
from ninja import Schema

from timers.exceptions import FieldProblem, InvalidRequest

MEDIA_TYPE: Final = "application/problem+json"

Code = Literal[
    "malformed", "bad_cursor", "unauthorized", "forbidden", "not_found", "method_not_allowed", "timeout", "name_taken",
    "stale_version", "stale_token", "not_allowed_now", "length_required", "too_large", "media_type", "invalid",
    "quota", "key_reused", "rate_limited", "failed", "unavailable",
]  # fmt: skip

STATUS: Final[dict[Code, int]] = {
    "malformed": 400,
    "bad_cursor": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "timeout": 408,
    "name_taken": 409,
    "stale_version": 409,
    "stale_token": 409,
    "not_allowed_now": 409,
    "length_required": 411,
    "too_large": 413,
    "media_type": 415,
    "invalid": 422,
    "quota": 422,
    "key_reused": 422,
    "rate_limited": 429,
    "failed": 500,
    "unavailable": 503,
}
"""HTTP status of each code. Codes are stable; programs distinguish problems by them."""


class FieldProblemAnswer(Schema):
    """What is wrong with one field, and what would be valid."""

    field: str
    message: str


class ProblemAnswer(Schema):
    """RFC 9457 problem. `errors` lists all errors of the request."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    errors: list[FieldProblemAnswer]


class Problem(Exception):
    """Exception that ends a request with a problem.

    `retry_after`: seconds after which the same request may succeed.
    """

    def __init__(
        self,
        code: Code,
        detail: str,
        errors: Iterable[FieldProblem] = (),
        *,
        retry_after: float | None = None,
    ) -> None:
        self.code: Code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after
        super().__init__(detail)

    @classmethod
    def of_spec(cls, error: InvalidRequest, code: Code = "invalid") -> Problem:
        """Build the problem of an invalid request."""
        return cls.of_fields(code, error.problems)

    @classmethod
    def of_fields(cls, code: Code, problems: Sequence[FieldProblem]) -> Problem:
        """Build the problem of some fields; its detail is composed of theirs."""
        return cls(code, "; ".join(f"{problem.field}: {problem.message}" for problem in problems), problems)

    @property
    def status(self) -> int:
        """The HTTP status of its code."""
        return STATUS[self.code]

    def response(self, request_id: str) -> HttpResponse:
        """Return the HTTP response."""
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "request_id": request_id,
            "errors": [{"field": problem.field, "message": problem.message} for problem in self.errors],
        }
        response = HttpResponse(json.dumps(body), status=self.status, content_type=MEDIA_TYPE)
        if self.retry_after is not None:
            response.headers["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        if self.code == "unauthorized":
            response.headers["WWW-Authenticate"] = 'Bearer realm="timers"'
        return response


def not_found(what: str = "such thing") -> Problem:
    """Build a 404, the same for a missing and for a hidden object.

    `what`: kind and name of the object, as in the request.
    """
    return Problem("not_found", f"There is no {what}, or this key may not see it.")
