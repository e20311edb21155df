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
    """Their name in records; called where it is needed, for whoever has to look it up."""
    key_id: int | None = None
    """The application key that is used."""
    address: str = ""
    request_id: str = ""

    def name(self) -> str:
        """Their name in records; empty when it is not known."""
        return self.actor if isinstance(self.actor, str) else self.actor()


_current: Final[ContextVar[Actor]] = ContextVar("timers_current", default=Actor())  # noqa: B039 - it is frozen


@contextmanager
def acting_as(
    actor: str | Callable[[], str] = "", *, key_id: int | None = None, address: str = "", request_id: str = ""
) -> Iterator[None]:
    """Set the current actor for a block; a verb that is given an actor of its own names that one."""
    token = _current.set(Actor(actor, key_id, address, request_id))
    try:
        yield
    finally:
        _current.reset(token)


def current_actor() -> Actor:
    """Return who makes the present request; all fields are empty outside requests."""
    return _current.get()
