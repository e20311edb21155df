"""Single requests of a consumer; `consume` uses them in its loop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from timers_client.answers import Claimed, Extended, Settled
from timers_client.call import Call, encoded, path
from timers_client.calls.words import nothing


def claim(
    group: str, consumer: str, *, limit: int = 1, lease: float = 30, wait: float = 0, subscription: str | None = None
) -> Call[list[Claimed]]:
    """Claim up to `limit` due messages of a group.

    Args:
        group: Name of the group.
        consumer: Name of the consumer.
        limit: Maximum number of messages.
        lease: Seconds until the claim expires.
        wait: Seconds to wait for the first message.
        subscription: Name of the subscription, if the group has several.
    """
    body = {"consumer": consumer, "limit": limit, "lease": lease, "wait": wait, "subscription": subscription}
    return Call(
        "POST", path("groups", group, "claims"), lambda answer: [Claimed.of(each) for each in answer["messages"]],
        encoded(body), wait=wait,
    )  # fmt: skip


def commit(execution: str, token: str, *, result: Any = None) -> Call[None]:
    """Commit a message. Raises StaleToken."""
    body = {"token": token, "result": result}
    return Call("POST", path("executions", execution, "commit"), nothing, encoded(body))


def commit_many(messages: Iterable[tuple[str, str]]) -> Call[list[Settled]]:
    """Commit up to 1,000 messages, each given as execution and token. An error in one does not affect the others."""
    items = [{"execution": execution, "token": token} for execution, token in messages]
    return Call(
        "POST", "/claims/commit", lambda answer: [Settled.of(each) for each in answer["results"]],
        encoded({"items": items}),
    )  # fmt: skip


def discard(execution: str, token: str, *, delay: float | None = None, reason: str = "") -> Call[None]:
    """Discard a message, so that it is delivered again. Raises StaleToken."""
    # The text of an error may contain characters that JSON cannot.
    said = reason[:1000].replace("\0", "\ufffd").encode(errors="replace").decode()
    body = {"token": token, "delay": delay, "reason": said}
    return Call("POST", path("executions", execution, "discard"), nothing, encoded(body))


def extend(execution: str, token: str, *, lease: float) -> Call[Extended]:
    """Extend the lease of everything claimed together to that many seconds from now. Raises StaleToken."""
    return Call("POST", path("executions", execution, "extend"), Extended.of, encoded({"token": token, "lease": lease}))
