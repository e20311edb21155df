"""What consumers say to the service, word for word; the loop around it is that of `consume`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from timers_client.answers import Claimed, Extended, Settled
from timers_client.call import Call, encoded, path
from timers_client.calls.words import nothing


def claim(
    group: str, consumer: str, *, limit: int = 1, lease: float = 30, wait: float = 0, subscription: str | None = None
) -> Call[list[Claimed]]:
    """Claim up to `limit` due messages of a group for `lease` seconds; with `wait`, wait so long for the first."""
    body = {"consumer": consumer, "limit": limit, "lease": lease, "wait": wait, "subscription": subscription}
    return Call(
        "POST", path("groups", group, "claims"), lambda answer: [Claimed.of(each) for each in answer["messages"]],
        encoded(body), wait=wait,
    )  # fmt: skip


def commit(execution: str, token: str, *, result: Any = None) -> Call[None]:
    """Done; raises StaleToken."""
    body = {"token": token, "result": result}
    return Call("POST", path("executions", execution, "commit"), nothing, encoded(body))


def commit_many(messages: Iterable[tuple[str, str]]) -> Call[list[Settled]]:
    """Commit up to 1,000 at once, each given as execution and token; what is wrong with one is that one's alone."""
    items = [{"execution": execution, "token": token} for execution, token in messages]
    return Call(
        "POST", "/claims/commit", lambda answer: [Settled.of(each) for each in answer["results"]],
        encoded({"items": items}),
    )  # fmt: skip


def discard(execution: str, token: str, *, delay: float | None = None, reason: str = "") -> Call[None]:
    """Not yet: show it again; raises StaleToken."""
    # The text of an error may hold what JSON cannot.
    said = reason[:1000].replace("\0", "\ufffd").encode(errors="replace").decode()
    body = {"token": token, "delay": delay, "reason": said}
    return Call("POST", path("executions", execution, "discard"), nothing, encoded(body))


def extend(execution: str, token: str, *, lease: float) -> Call[Extended]:
    """Keep what was claimed together for so many seconds from now; raises StaleToken."""
    return Call("POST", path("executions", execution, "extend"), Extended.of, encoded({"token": token, "lease": lease}))
