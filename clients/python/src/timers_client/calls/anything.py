"""The caller's identity, and any other endpoint of the API that has no function here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from timers_client.answers import Raw
from timers_client.call import Call, encoded
from timers_client.calls.words import NOT_GIVEN, if_match, raw

_KEPT_NOWHERE = ("/keys", "/secrets", "/handlers")


def me() -> Call[Raw]:
    """Return the identity of the key: actor, scopes, groups."""
    return Call("GET", "/me", raw)


def ask(
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
    path: str,
    body: Any = NOT_GIVEN,
    *,
    query: Mapping[str, Any] | None = None,
    version: int | None = None,
) -> Call[Any]:
    """Call any endpoint of the API, such as `client.ask("GET", "/calendars")`, and return its JSON."""
    return Call(
        method, path, lambda answer: answer,
        None if body is NOT_GIVEN else encoded(body), query or {}, if_match(version),
        # Responses with secrets, and of handlers, are not stored: a repeated call would be carried out again.
        once_only=method != "GET" and path.startswith(_KEPT_NOWHERE),
    )  # fmt: skip
