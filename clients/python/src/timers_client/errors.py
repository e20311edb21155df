"""What can go wrong, typed: the service's refusals by their stable codes, and the ways a call may not come through."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final


class TimersError(Exception):
    """Anything that this client raises on purpose."""


class ConnectionFailed(TimersError):
    """The service could not be reached, or did not answer in time, however often it was tried.

    `may_pass`: False where another try would go no better, as with a certificate that is not trusted.
    """

    def __init__(self, message: str, *, may_pass: bool = True) -> None:
        self.may_pass = may_pass
        super().__init__(message)


class LeaseLost(TimersError):
    """The message is not this consumer's any more: its lease ended before it was settled, and others may have it."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field."""

    field: str
    message: str


class ApiError(TimersError):
    """The service's refusal (RFC 9457). `errors` names every field that was wrong."""

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
        """Seconds after which the same may succeed, where the service said so."""
        super().__init__(self.detail or self.title or f"the service answered {status}")


class Malformed(ApiError):
    """What was sent could not be read."""


class Invalid(ApiError):
    """Something made no sense; nothing was written."""


class NotFound(ApiError):
    """There is no such thing, or this key may not see it."""


class NameTaken(ApiError):
    """A timer of that name is there already."""


class StaleVersion(ApiError):
    """Somebody changed the thing since it was read."""


class StaleToken(ApiError):
    """The claim is not the caller's any more."""


class NotAllowedNow(ApiError):
    """The thing is there, but in its present state this cannot be done."""


class Unauthorized(ApiError):
    """The key is not valid."""


class Forbidden(ApiError):
    """The key lacks the scope."""


class TooLarge(ApiError):
    """What was sent is too large."""


class RateLimited(ApiError):
    """Too many requests."""


class Unavailable(ApiError):
    """The service, or its database, is away."""


class TimedOut(ApiError):
    """What was sent did not arrive in time."""


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
    # What a proxy before the service answers in its own words.
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
    """The error that an answer means."""
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    kind = _BY_CODE.get(str(problem.get("code"))) or _BY_STATUS.get(status, ApiError)
    return kind(status, problem, retry_after(headers))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of a Retry-After header: a number, or an instant as proxies write it."""
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
