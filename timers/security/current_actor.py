"""Who asks: what a face knows of a request beside its actor, for the audit trail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and from where."""

    actor: str | Callable[[], str] = ""
    """Their name in records; called where it is needed, for whoever has to look it up."""
    key_id: int | None = None
    """The application key that is used."""
    address: str = ""
    request_id: str = ""

    def name(self) -> str:
        """Their name in records; empty when it is not known."""
        return self.actor if isinstance(self.actor, str) else self.actor()


_asker: Final[ContextVar[Asker]] = ContextVar("timers_asker", default=Asker())  # noqa: B039 - it is frozen


@contextmanager
def asked_by(
    actor: str | Callable[[], str] = "", *, key_id: int | None = None, address: str = "", request_id: str = ""
) -> Iterator[None]:
    """What is asked for within is asked for by this one; a verb that is given another actor names that one."""
    token = _asker.set(Asker(actor, key_id, address, request_id))
    try:
        yield
    finally:
        _asker.reset(token)


def asker() -> Asker:
    """Who asks now; all of it is empty where no face has said so."""
    return _asker.get()
