"""The OpenAPI 3.1 schema of the API: it lists every status that an operation can return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ninja.openapi.schema import REF_TEMPLATE
from pydantic.json_schema import models_json_schema

from timers.api.idempotent import HEADER as IDEMPOTENCY_KEY
from timers.api.idempotent import REPLAYED
from timers.api.problems import MEDIA_TYPE, ProblemAnswer

DESCRIPTION: Final = """\
Schedule timers, receive them, and see what became of them.

Sign in with an application key (`Authorization: Bearer tk_...`) or with the session of the console. Instants are ISO
8601 with an offset, durations seconds. Whatever is no success is a problem (RFC 9457) with a stable `code`; mistakes
are told all at once. Lists come in pages: give `next` back as `cursor`. A write with an `Idempotency-Key` may be
repeated for 24 hours without being done twice; after 503 or a lost connection, do so.
"""

_PROBLEMS: Final = {
    400: "What was sent cannot be read: no JSON, a foreign cursor.",
    401: "There is no valid application key, and nobody has signed in.",
    403: "The key lacks the scope; or the CSRF token is missing.",
    404: "There is no such thing, or the key may not see it.",
    408: "The body did not come in time.",
    409: "The present state does not allow it: the name is taken, the version or the token is stale.",
    411: "The body's length is not known.",
    413: "The body is too large.",
    415: "The body is not of the right media type.",
    422: "The request is invalid; `errors` names each field and the remedy.",
    429: "Too many requests; `Retry-After` says when to go on.",
    500: "Something failed here.",
    503: "The database is unavailable; repeat the request after `Retry-After`.",
}
# An operation without a declared body may receive one; it has the same limits.
_ALWAYS: Final = (400, 401, 403, 408, 411, 413, 415, 422, 429, 500, 503)


def complete(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with the problems and headers that ninja does not know."""
    schemas = schema["components"]["schemas"]
    _, definitions = models_json_schema([(ProblemAnswer, "serialization")], ref_template=REF_TEMPLATE)
    schemas.update(definitions["$defs"])
    schema["components"]["responses"] = {
        f"Problem{status}": _problem(status, words) for status, words in _PROBLEMS.items()
    }
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            _complete_operation(path, method, operation)
    return schema


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    statuses = {*_ALWAYS}
    if "{" in path:
        statuses.add(404)
    if method != "get":
        statuses |= {404, 409}
    responses = operation["responses"]
    takes_key = any(parameter["name"] == IDEMPOTENCY_KEY for parameter in operation.get("parameters", ()))
    for status, response in responses.items():
        if status in statuses:
            continue
        response["headers"] = {"X-Request-Id": _TEXT_HEADER, **response.get("headers", {})}
        if takes_key:
            response["headers"][REPLAYED] = _TEXT_HEADER
    for status in sorted(statuses):
        of_its_own = responses.get(status, {}).get("headers")
        responses[status] = (
            _problem(status, _PROBLEMS[status], of_its_own)
            if of_its_own
            else {"$ref": f"#/components/responses/Problem{status}"}
        )
    operation["responses"] = {str(status): response for status, response in sorted(responses.items())}


_TEXT_HEADER: Final = {"schema": {"type": "string"}}


def _problem(status: int, words: str, further: Mapping[str, Any] | None = None) -> dict[str, Any]:
    headers: dict[str, Any] = {"X-Request-Id": _TEXT_HEADER, **(further or {})}
    if status in {429, 503}:
        headers["Retry-After"] = {"schema": {"type": "string", "pattern": "^[0-9]+$"}}
    return {
        "description": words,
        "headers": headers,
        "content": {MEDIA_TYPE: {"schema": {"$ref": REF_TEMPLATE.format(model=ProblemAnswer.__name__)}}},
    }
