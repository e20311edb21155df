"""The report of a reconcile: what was done with the timers and chains of a source, and what was left alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from timers.control.difference import FieldChange

Verb = Literal["created", "updated", "paused", "resumed", "stopped", "started", "kept", "conflicts", "over"]
VERBS: Final[tuple[tuple[Verb, str], ...]] = (
    ("created", "created"),
    ("updated", "updated"),
    ("paused", "paused"),
    ("resumed", "resumed"),
    ("stopped", "stopped"),
    ("started", "started"),
    ("kept", "kept as they are"),
    ("conflicts", "in conflict"),
)
"""The lists of a report that it tells of, and their words."""
NAMES: Final = 5
"""Timers that a list of the report's words names."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One timer, chain, or group (where `name` is empty) of the report."""

    group: str
    name: str
    why: str = ""
    changes: tuple[FieldChange, ...] = ()
    in_flight: tuple[str, ...] = ()
    """Executions that the change came too late for."""
    is_chain: bool = False

    def __str__(self) -> str:
        if self.is_chain:
            return f"chain {self.group}/{self.name}"
        return f"{self.group}/{self.name}" if self.name else f"group {self.group}"


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What became of a source's declarations; with dry_run, what would have."""

    source: str
    created: tuple[Entry, ...] = ()
    updated: tuple[Entry, ...] = ()
    paused: tuple[Entry, ...] = ()
    """No longer declared."""
    resumed: tuple[Entry, ...] = ()
    """Declared again."""
    stopped: tuple[Entry, ...] = ()
    """Chains that are no longer declared."""
    started: tuple[Entry, ...] = ()
    """Chains that are declared again."""
    kept: tuple[Entry, ...] = ()
    """Not as declared, because somebody changed it by hand: left so."""
    conflicts: tuple[Entry, ...] = ()
    """Names that belong to timers which are not declared here: left alone."""
    over: tuple[Entry, ...] = field(default=(), compare=False)
    """Declared, but there is no instant left at which they could fire: not made."""
    unchanged: int = 0
    owner: str = field(default="", compare=False)
    """The program whose declarations they are."""

    @property
    def wrote(self) -> bool:
        """Whether anything was changed."""
        return bool(self.created or self.updated or self.paused or self.resumed or self.stopped or self.started)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.wrote or self.kept or self.conflicts)

    @property
    def words(self) -> str:
        """The report in one line."""
        lists = [(word, self.entries(verb)) for verb, word in VERBS]
        told = [_told(len(entries), word, entries) for word, entries in lists if entries]
        return f"{self.source}: " + ", ".join([*told, f"{self.unchanged:,} unchanged"])

    def entries(self, verb: Verb) -> tuple[Entry, ...]:
        """One of the lists."""
        found: tuple[Entry, ...] = getattr(self, verb)
        return found


def _told(number: int, verb: str, entries: tuple[Entry, ...]) -> str:
    names = ", ".join(str(entry) for entry in entries[:NAMES])
    return f"{number:,} {verb} ({names}{', ...' if number > NAMES else ''})"
