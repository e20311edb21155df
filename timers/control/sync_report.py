"""The report of a reconcile: changes to the timers and chains of a source, and what was left unchanged."""

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
"""The lists of a report that its text mentions, and their words."""
NAMES: Final = 5
"""Maximum number of names per list in the report's text."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One timer, chain, or group (if `name` is empty) of the report."""

    group: str
    name: str
    why: str = ""
    changes: tuple[FieldChange, ...] = ()
    in_flight: tuple[str, ...] = ()
    """Executions for which the change came too late."""
    is_chain: bool = False

    def __str__(self) -> str:
        if self.is_chain:
            return f"chain {self.group}/{self.name}"
        return f"{self.group}/{self.name}" if self.name else f"group {self.group}"


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The changes made for a source's declarations; with dry_run, those that would be made."""

    source: str
    created: tuple[Entry, ...] = ()
    updated: tuple[Entry, ...] = ()
    paused: tuple[Entry, ...] = ()
    """Timers that are no longer declared."""
    resumed: tuple[Entry, ...] = ()
    """Timers that are declared again."""
    stopped: tuple[Entry, ...] = ()
    """Chains that are no longer declared."""
    started: tuple[Entry, ...] = ()
    """Chains that are declared again."""
    kept: tuple[Entry, ...] = ()
    """Entries that differ from their declaration because they were changed by hand: left unchanged."""
    conflicts: tuple[Entry, ...] = ()
    """Names of timers that are not declared here: left unchanged."""
    over: tuple[Entry, ...] = field(default=(), compare=False)
    """Timers for which no instant is left at which they could fire: not created."""
    unchanged: int = 0
    owner: str = field(default="", compare=False)
    """The program that owns the declarations."""

    @property
    def wrote(self) -> bool:
        """Whether anything was changed."""
        return bool(self.created or self.updated or self.paused or self.resumed or self.stopped or self.started)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to report."""
        return not (self.wrote or self.kept or self.conflicts)

    @property
    def words(self) -> str:
        """The report in one line."""
        lists = [(word, self.entries(verb)) for verb, word in VERBS]
        told = [_told(len(entries), word, entries) for word, entries in lists if entries]
        return f"{self.source}: " + ", ".join([*told, f"{self.unchanged:,} unchanged"])

    def entries(self, verb: Verb) -> tuple[Entry, ...]:
        """Return the list for a verb."""
        found: tuple[Entry, ...] = getattr(self, verb)
        return found


def _told(number: int, verb: str, entries: tuple[Entry, ...]) -> str:
    names = ", ".join(str(entry) for entry in entries[:NAMES])
    return f"{number:,} {verb} ({names}{', ...' if number > NAMES else ''})"
