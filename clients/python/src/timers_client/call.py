"""One call of the service, described: what is sent, and how its answer is read. Nothing here does any I/O."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

from timers_client.errors import ApiError, RateLimited, TimersError, Unavailable, error_of

Result = TypeVar("Result")

JSON: Final = "application/json"
LINES: Final = "application/x-ndjson"
TIMEOUT: Final = 10.0
"""Seconds that one try may take, where the service is not asked to wait."""
DEADLINE: Final = 60.0
"""Seconds after which a call is given up, however often it was tried."""
LONGEST_PAUSE: Final = 10.0


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
        """From what was given, else TIMERS_URL and TIMERS_KEY of the environment; raises TimersError."""
        url = url or os.environ.get("TIMERS_URL", "")
        key = key or os.environ.get("TIMERS_KEY", "")
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise TimersError("give the service's address, such as https://timers.example.org, or set TIMERS_URL")
        if not key:
            raise TimersError("give an application key (tk_...), or set TIMERS_KEY")
        return cls(url.rstrip("/").removesuffix("/api/v1"), key)

    def request(self, call: Call[Any]) -> Request:
        """The call as it goes over the wire."""
        headers = {"Authorization": f"Bearer {self.key}", "Accept": JSON, "User-Agent": "timers-client"}
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
    """By the clock that `pause` is asked with."""
    is_repeatable: bool
    tries: int = 0

    def pause(self, now: float, error: Exception) -> float | None:
        """Seconds to wait before the next try; None: give it up."""
        self.tries += 1
        is_passing = isinstance(error, (RateLimited, Unavailable)) or not isinstance(error, ApiError)
        # A refusal was surely not carried out; an answer that was lost may have been.
        if not is_passing or not (self.is_repeatable or isinstance(error, RateLimited)):
            return None
        seconds = random.uniform(0, min(LONGEST_PAUSE, 0.1 * 2.0**self.tries))
        if isinstance(error, ApiError) and error.retry_after is not None:
            seconds = min(error.retry_after, LONGEST_PAUSE) + seconds
        return seconds if now + seconds < self.until else None


def path(*names: str) -> str:
    """The path of some names: /groups/{...}; each is one segment, whatever it holds."""
    return "".join(f"/{quote(name, safe='')}" for name in names)


def encoded(value: Any) -> bytes:
    """JSON; instants as ISO 8601, durations as seconds."""
    return json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def answered(call: Call[Result], status: int, body: bytes, headers: Mapping[str, str]) -> Result:
    """What the call answers; raises ApiError."""
    if status >= 400:
        raise error_of(status, body, headers)
    try:
        if headers_get(headers, "Content-Type").startswith(LINES):
            return call.read([json.loads(line) for line in body.splitlines()])
        return call.read(json.loads(body) if body else None)
    except (ValueError, KeyError, TypeError) as error:
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
