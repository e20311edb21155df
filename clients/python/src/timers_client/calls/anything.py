"""Who one is, and every other address of the service that has no word of its own here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from timers_client.answers import Raw
from timers_client.call import Call, encoded
from timers_client.calls.words import NOT_GIVEN, if_match, raw

_KEPT_NOWHERE = ("/keys", "/secrets", "/handlers")


def me() -> Call[Raw]:
    """Who the key is: actor, scopes, groups."""
    return Call("GET", "/me", raw)


def ask(
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
    path: str,
    body: Any = NOT_GIVEN,
    *,
    query: Mapping[str, Any] | None = None,
    version: int | None = None,
) -> Call[Any]:
    """Any address of the API: `client.ask("GET", "/calendars")`; returns its JSON."""
    return Call(
        method, path, lambda answer: answer,
        None if body is NOT_GIVEN else encoded(body), query or {}, if_match(version),
        # Answers with secrets, and of handlers, are kept nowhere: a repeat would do it again.
        once_only=method != "GET" and path.startswith(_KEPT_NOWHERE),
    )  # fmt: skip
