"""Which PostgreSQL server responded: refuse a former primary after a failover, and another server not yet accepted.

A server is identified by its system identifier, which initdb creates and every physical copy keeps, and by its
timeline, which rises with each promotion. A restarted former primary has the identifier of its successor and a lower
timeline. Both are remembered in the database and by each process and machine. A person accepts another server (after a
restore, or an upgrade to a new major version) with `manage.py acceptdatabase`, which increases `acceptance`: processes
and machines that remember a lower number update it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import psycopg

REMEDY: Final = (
    "Point DATABASE_URL at the present primary. If this server is the right one, as after a restore or an upgrade, "
    "accept it: manage.py acceptdatabase."
)


class ServerRefused(psycopg.OperationalError):
    """The server is not the one that the service worked on before; nothing is read or written there."""

    def __init__(self, message: str, host: str = "", port: str = "") -> None:
        super().__init__(message)
        self.host, self.port = host, port


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is known about the server that the service works on. None: the server did not allow reading it."""

    system_identifier: str | None
    timeline: int | None
    acceptance: int = 0
    """How often a person has accepted another server."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A server as it describes itself, and what its copy of the tables remembers."""

    system_identifier: str | None
    timeline: int | None
    in_recovery: bool
    known_identifier: str | None
    known_timeline: int | None
    acceptance: int | None
    """None: its tables do not remember a server yet."""

    @property
    def known(self) -> Remembered | None:
        """What its tables remember."""
        if self.acceptance is None:
            return None
        return Remembered(self.known_identifier, self.known_timeline, self.acceptance)

    def remembered(self, before: Remembered | None) -> Remembered:
        """Return what to remember after this server was accepted for use, when `before` was remembered."""
        acceptance = self.acceptance or 0
        timeline = None if self.in_recovery else self.timeline
        if before is None or acceptance > before.acceptance:
            return Remembered(self.system_identifier, timeline, acceptance)
        return Remembered(
            before.system_identifier or self.system_identifier, _highest(before.timeline, timeline), before.acceptance
        )


def why_refused(answered: Answered, remembered: Remembered | None) -> str:
    """Return why the server is refused, or an empty text.

    Args:
        answered: the server.
        remembered: what this process and this machine know, if anything.
    """
    acceptance = answered.acceptance or 0
    if remembered is not None and acceptance < remembered.acceptance:
        return "another server has been accepted in its place since"
    is_new = remembered is not None and acceptance > remembered.acceptance
    for known in (answered.known, None if is_new else remembered):
        if known is not None and (why := _difference(answered, known)):
            return why
    return ""


def _difference(answered: Answered, known: Remembered) -> str:
    identifiers = answered.system_identifier, known.system_identifier
    if None not in identifiers and identifiers[0] != identifiers[1]:
        return f"its system identifier is {identifiers[0]}, and the service has worked on {identifiers[1]}"
    if answered.in_recovery or answered.timeline is None or known.timeline is None:
        return ""
    if answered.timeline < known.timeline:
        return (
            f"it is on timeline {answered.timeline}, and the service has worked on timeline {known.timeline}: it is a"
            " former primary that a failover has left behind"
        )
    return ""


def _highest(*timelines: int | None) -> int | None:
    return max((each for each in timelines if each is not None), default=None)
