"""Typed errors: the service's errors by their stable codes, and connection errors."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final


class TimersError(Exception):
    """Base class of all errors that this client raises on purpose."""


class ConnectionFailed(TimersError):
    """The service could not be reached, or did not respond in time, in any attempt.

    `may_pass`: False if another attempt would fail too, as with a certificate that is not trusted.
    """

    def __init__(self, message: str, *, may_pass: bool = True) -> None:
        self.may_pass = may_pass
        super().__init__(message)


class LeaseLost(TimersError):
    """This consumer no longer owns the message: its lease expired, and another consumer may have it."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field."""

    field: str
    message: str


class ApiError(TimersError):
    """Error response of the service (RFC 9457). `errors` names every invalid field."""

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.status = status
        self.code = str(problem.get("code", ""))
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail", ""))
        self.request_id = str(problem.get("request_id", ""))
        told = problem.get("errors")
        self.errors = tuple(
            FieldProblem(str(each.get("field", "")), str(each.get("message", "")))
            for each in (told if isinstance(told, list) else ())
            if isinstance(each, dict)
        )
        self.retry_after = retry_after
        """Seconds after which the same request may succeed, if the service said so."""
        super().__init__(self.detail or self.title or f"the service answered {status}")


class Malformed(ApiError):
    """The request could not be parsed."""


class Invalid(ApiError):
    """The request is invalid; nothing was saved."""


class NotFound(ApiError):
    """The object does not exist, or this key may not see it."""


class NameTaken(ApiError):
    """The name is already taken."""


class StaleVersion(ApiError):
    """The object has changed since it was read."""


class StaleToken(ApiError):
    """The token's claim no longer owns the execution."""


class NotAllowedNow(ApiError):
    """The object exists, but its present state does not allow the operation."""


class Unauthorized(ApiError):
    """The key is not valid."""


class Forbidden(ApiError):
    """The key lacks the scope."""


class TooLarge(ApiError):
    """The request is too large."""


class RateLimited(ApiError):
    """Rate limit exceeded."""


class Unavailable(ApiError):
    """The service or its database is unavailable."""


class TimedOut(ApiError):
    """The request did not arrive in time."""


_BY_CODE: Final[dict[str, type[ApiError]]] = {
    "malformed": Malformed,
    "bad_cursor": Malformed,
    "invalid": Invalid,
    "quota": Invalid,
    "key_reused": Invalid,
    "not_found": NotFound,
    "name_taken": NameTaken,
    "stale_version": StaleVersion,
    "stale_token": StaleToken,
    "not_allowed_now": NotAllowedNow,
    "unauthorized": Unauthorized,
    "forbidden": Forbidden,
    "too_large": TooLarge,
    "timeout": TimedOut,
    "rate_limited": RateLimited,
    "unavailable": Unavailable,
}
_BY_STATUS: Final[dict[int, type[ApiError]]] = {
    # Statuses with which a proxy in front of the service responds itself.
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: TimedOut,
    413: TooLarge,
    429: RateLimited,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_of(status: int, body: bytes, headers: Mapping[str, str]) -> ApiError:
    """Build the error for an error response."""
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    kind = _BY_CODE.get(str(problem.get("code"))) or _BY_STATUS.get(status, ApiError)
    return kind(status, problem, retry_after(headers))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header: a number, or an instant as proxies write it."""
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
