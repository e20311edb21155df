"""Description of one call of the service: what is sent, and how the response is read. Pure, without I/O."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import uniform
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote, unquote, urlencode, urlsplit
from uuid import uuid4

from timers_client.errors import (
    ApiError,
    ConnectionFailed,
    Invalid,
    RateLimited,
    TimedOut,
    TimersError,
    Unavailable,
    error_of,
)
from timers_client.version import VERSION

Result = TypeVar("Result")

JSON: Final = "application/json"
LINES: Final = "application/x-ndjson"
TIMEOUT: Final = 10.0
"""Seconds that one attempt may take, in addition to the time that the service is asked to wait."""
SHORTEST_TIMEOUT: Final = 0.5
DEADLINE: Final = 60.0
"""Seconds after which a call fails, however often it was attempted."""
LONGEST_PAUSE: Final = 10.0
MOST_BYTES: Final = 64 * 1024 * 1024
"""Maximum size of one response in bytes."""
_KEY: Final = re.compile(r"[\x21-\x7e]{1,500}")
USER_AGENT: Final = f"timers-client/{VERSION}"


@dataclass(frozen=True, slots=True)
class Call(Generic[Result]):
    """A call, and how to read its response."""

    method: str
    path: str
    read: Callable[[Any], Result]
    body: bytes | None = None
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0
    """Seconds that the service is asked to wait before it responds."""
    once_only: bool = False
    """Whether its response is not stored, so it is not repeated if the response is lost."""

    def with_query(self, **more: Any) -> Call[Result]:
        """Return the call with additional query parameters."""
        return replace(self, query={**self.query, **more})


@dataclass(frozen=True, slots=True)
class Request:
    """A call as it is sent; its Idempotency-Key is the same for every attempt."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    timeout: float


@dataclass(frozen=True, slots=True)
class Service:
    """URL and key of the service."""

    url: str
    key: str = field(repr=False)

    @classmethod
    def of(cls, url: str | None, key: str | None) -> Service:
        """Build it from the arguments, or from TIMER_SERVICE_URL and TIMER_SERVICE_KEY of the environment.

        Raises TimersError if one is missing, empty or invalid.
        """
        url = os.environ.get("TIMER_SERVICE_URL") or None if url is None else url
        key = os.environ.get("TIMER_SERVICE_KEY") or None if key is None else key
        if url is None:
            raise TimersError(
                "give the service's address, such as https://timers.example.org, or set TIMER_SERVICE_URL"
            )
        if key is None:
            raise TimersError("give an application key (tk_...), or set TIMER_SERVICE_KEY")
        if not key:
            raise TimersError("the application key that was given is empty")
        parts = urlsplit(url)
        if not url:
            raise TimersError("the service's address that was given is empty")
        if "://" not in url:
            raise TimersError(f"http:// or https:// is missing before the service's address {url}")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise TimersError(f"{url} is no address of a service, such as https://timers.example.org")
        if not _KEY.fullmatch(key):
            raise TimersError("the application key is none: it has spaces, line ends or other signs that no key has")
        return cls(url.rstrip("/").removesuffix("/api/v1"), key)

    def request(self, call: Call[Any]) -> Request:
        """Return the call as it is sent. Raises Invalid if its path would reach another resource."""
        _refuse_dots(call.path)
        headers = {"Authorization": f"Bearer {self.key}", "Accept": JSON, "User-Agent": USER_AGENT}
        if call.body is not None:
            headers["Content-Type"] = JSON
        if call.method != "GET" and not call.once_only:
            headers["Idempotency-Key"] = uuid4().hex
        headers |= call.headers
        query = {name: _in_query(value) for name, value in call.query.items() if value is not None}
        url = f"{self.url}/api/v1{call.path}" + (f"?{urlencode(query)}" if query else "")
        return Request(call.method, url, headers, call.body, TIMEOUT + call.wait)


@dataclass(slots=True)
class Patience:
    """Whether and when a failed call is retried: with full jitter, and until a deadline."""

    until: float
    """Deadline, by the clock of the methods' `now`."""
    is_repeatable: bool
    tries: int = 0

    def pause(self, now: float, error: TimersError) -> float | None:
        """Return the seconds to wait before the next attempt; None: do not retry."""
        self.tries += 1
        match error:
            case RateLimited():
                # It was certainly not carried out.
                may_pass = True
            case Unavailable() | TimedOut():
                may_pass = self.is_repeatable
            case ConnectionFailed():
                may_pass = self.is_repeatable and error.may_pass
            case _:
                may_pass = False
        if not may_pass:
            return None
        seconds = uniform(0, min(LONGEST_PAUSE, 0.1 * 2.0**self.tries))
        if isinstance(error, ApiError) and error.retry_after is not None:
            seconds += error.retry_after
        return seconds if now + seconds < self.until else None

    def timeout(self, now: float, request: Request) -> float:
        """Return the seconds that the next attempt may take."""
        return min(request.timeout, max(SHORTEST_TIMEOUT, self.until - now))


def path(*names: str) -> str:
    """Return the path of some names: /groups/{...}; each name is one segment, whatever it contains."""
    return "".join(f"/{quote(name, safe='')}" for name in names)


def _refuse_dots(path: str) -> None:
    """Raise Invalid if a segment of the path is "." or "..".

    Clients and proxies may remove such segments, also written as %2E, and the call would act on the parent: on the
    group instead of a timer.
    """
    dots = {".", ".."} & set(unquote(path.partition("?")[0]).split("/"))
    if dots:
        message = f'"{max(dots)}" is no name: no address can hold it'
        problems = [{"field": "name", "message": message}]
        raise Invalid(422, {"code": "invalid", "title": "Not sent", "detail": f"name: {message}", "errors": problems})


def encoded(value: Any) -> bytes:
    """Encode as JSON; instants as ISO 8601 text, durations as seconds."""
    return json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def answered(call: Call[Result], status: int, body: bytes, headers: Mapping[str, str]) -> Result:
    """Return the result of the call from its response. Raises ApiError."""
    if status >= 400:
        raise error_of(status, body, headers)
    if status >= 300:
        where = headers_get(headers, "Location") or "elsewhere"
        raise TimersError(f"the service's address leads on to {where}; give that one (the key is never sent along)")
    try:
        if headers_get(headers, "Content-Type").startswith(LINES):
            return call.read([json.loads(line) for line in body.splitlines()])
        return call.read(json.loads(body) if body else None)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TimersError(f"unexpected response from the service: {body[:200]!r}") from error


def headers_get(headers: Mapping[str, str], name: str) -> str:
    """Return a header's value, case-insensitive; empty if it is missing."""
    return next((value for each, value in headers.items() if each.lower() == name.lower()), "")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError("a datetime needs its time zone; use datetime.now(UTC) or zoneinfo")
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _in_query(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(_plain(value)) if isinstance(value, (datetime, timedelta)) else str(value)
