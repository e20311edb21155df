"""One call of the service, described: what is sent, and how its answer is read. Nothing here does any I/O."""

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
"""Seconds that one try may take, where the service is not asked to wait."""
SHORTEST_TIMEOUT: Final = 0.5
DEADLINE: Final = 60.0
"""Seconds after which a call is given up, however often it was tried."""
LONGEST_PAUSE: Final = 10.0
MOST_BYTES: Final = 64 * 1024 * 1024
"""Of one answer."""
_KEY: Final = re.compile(r"[\x21-\x7e]{1,500}")
USER_AGENT: Final = f"timers-client/{VERSION}"


@dataclass(frozen=True, slots=True)
class Call(Generic[Result]):
    """A call, and how to read what it answers."""

    method: str
    path: str
    read: Callable[[Any], Result]
    body: bytes | None = None
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0
    """Seconds that the service is asked to wait before it answers."""
    once_only: bool = False
    """Its answer is kept nowhere, so it is not repeated when the answer is lost."""

    def with_query(self, **more: Any) -> Call[Result]:
        """The same with more in its query."""
        return replace(self, query={**self.query, **more})


@dataclass(frozen=True, slots=True)
class Request:
    """A call as it goes over the wire; its Idempotency-Key is the same however often it is sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    timeout: float


@dataclass(frozen=True, slots=True)
class Service:
    """Where the service is, and with which key."""

    url: str
    key: str = field(repr=False)

    @classmethod
    def of(cls, url: str | None, key: str | None) -> Service:
        """From what was given, else TIMER_SERVICE_URL and TIMER_SERVICE_KEY of the environment.

        Raises TimersError where one is missing, empty or none that could be.
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
        """The call as it goes over the wire; raises Invalid for one that would reach something else there."""
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
    """Whether a call that did not come through is tried again, and when: full jitter, and no longer than a deadline."""

    until: float
    """By the clock that the methods are asked with."""
    is_repeatable: bool
    tries: int = 0

    def pause(self, now: float, error: TimersError) -> float | None:
        """Seconds to wait before the next try; None: give it up."""
        self.tries += 1
        match error:
            case RateLimited():
                # It was surely not carried out.
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
        """Seconds that the next try may take."""
        return min(request.timeout, max(SHORTEST_TIMEOUT, self.until - now))


def path(*names: str) -> str:
    """The path of some names: /groups/{...}; each is one segment, whatever it holds."""
    return "".join(f"/{quote(name, safe='')}" for name in names)


def _refuse_dots(path: str) -> None:
    """Raise Invalid where a part of the path is "." or "..".

    Whatever sends it may take such parts out, written as %2E too, and the call would act on what stands above: on the
    group in the place of a timer.
    """
    dots = {".", ".."} & set(unquote(path.partition("?")[0]).split("/"))
    if dots:
        message = f'"{max(dots)}" is no name: no address can hold it'
        problems = [{"field": "name", "message": message}]
        raise Invalid(422, {"code": "invalid", "title": "Not sent", "detail": f"name: {message}", "errors": problems})


def encoded(value: Any) -> bytes:
    """JSON; instants as ISO 8601, durations as seconds."""
    return json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def answered(call: Call[Result], status: int, body: bytes, headers: Mapping[str, str]) -> Result:
    """What the call answers; raises ApiError."""
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
        raise TimersError(f"the service answered what is none of its answers: {body[:200]!r}") from error


def headers_get(headers: Mapping[str, str], name: str) -> str:
    """A header's value whatever the case of its name; empty when it is not there."""
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
