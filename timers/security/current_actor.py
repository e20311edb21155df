"""The current actor: who makes a request, and from where, for the audit trail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a request, and from where."""

    actor: str | Callable[[], str] = ""
    """Name in records, or a callable that looks it up; called only if the name is needed."""
    key_id: int | None = None
    """Id of the application key that is used."""
    address: str = ""
    request_id: str = ""

    def name(self) -> str:
        """Return the name in records; empty if unknown."""
        return self.actor if isinstance(self.actor, str) else self.actor()


_current: Final[ContextVar[Actor]] = ContextVar("timers_current", default=Actor())  # noqa: B039 - it is frozen


@contextmanager
def acting_as(
    actor: str | Callable[[], str] = "", *, key_id: int | None = None, address: str = "", request_id: str = ""
) -> Iterator[None]:
    """Set the current actor for a block; an operation that is passed an actor of its own records that one instead.

    Args:
        actor: name in records, or a callable that looks it up.
        key_id: id of the application key that is used; None: none.
        address: the client's address.
        request_id: id of the request.
    """
    token = _current.set(Actor(actor, key_id, address, request_id))
    try:
        yield
    finally:
        _current.reset(token)


def current_actor() -> Actor:
    """Return who makes the present request; all fields are empty outside requests."""
    return _current.get()
