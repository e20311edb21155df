"""The registry of kinds of schedules, and what a kind declares of itself.

A kind is a subclass of Schedule that is decorated with `register`, in this package or in the `timer_handlers.py` of any
installed app: that module is imported in every process. From its declaration follow its keywords in the Python API, in
REST with its description, in files, and the fields of the admin's form. All nodes and web processes must have a kind
before it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from timers.domain.errors import ErrorCollector
from timers.domain.json_schema import Schema
from timers.schedules.instant import parse_instant
from timers.schedules.schedule import Schedule
from timers.schedules.zones import zone


@dataclass(frozen=True, slots=True)
class Keyword:
    """A keyword of a kind, and the field of the admin's form for it."""

    name: str
    schema: Schema
    """JSON Schema of its values."""
    help_text: str = ""
    """For the form, after the name of the kind."""
    is_required: bool = False
    label: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    """Values and their labels, if the form offers a choice."""
    is_in_form: bool = True
    from_text: Callable[[str], Any] = str
    """Converts what was typed into the form."""


class Context:
    """What a schedule needs of the timer that it is for."""

    def __init__(
        self, group: str, name: str, time_zone: Any, start_at: Any, now: datetime, mistakes: ErrorCollector
    ) -> None:
        """Keep the timer's values, which may be invalid.

        Args:
            group: name of the group.
            name: name of the timer.
            time_zone: name of its time zone.
            start_at: instant before which it does not fire; None: now.
            now: current time of the group.
            mistakes: where invalid values are reported; they are replaced by valid ones.
        """
        self.name = f"{group}/{name}"
        self.now = now
        self.mistakes = mistakes
        self._time_zone, self._start_at = time_zone, start_at

    @cached_property
    def start(self) -> datetime:
        """The instant from which the timer counts: its start_at, or now."""
        if self._start_at is None:
            return self.now
        return self.mistakes.check(lambda: parse_instant(self._start_at, "start_at"), self.now)

    @cached_property
    def zone(self) -> ZoneInfo | Any:
        """The time zone; UTC if the given one is invalid."""
        return self.mistakes.check(lambda: zone(self._time_zone), UTC)


KINDS: Final[dict[str, type[Schedule]]] = {}
"""The kinds by name, in the order in which they were registered."""

ScheduleClass = TypeVar("ScheduleClass", bound=type[Schedule])


def register(kind: ScheduleClass) -> ScheduleClass:
    """Add a kind of schedule; a class decorator.

    Raises:
        ValueError: another kind has that name.
    """
    if KINDS.setdefault(kind.kind, kind) is not kind:
        raise ValueError(f"two kinds of schedules have the name {kind.kind}")
    forget_keywords()
    return kind


@cache
def keywords_of(kind: str) -> frozenset[str]:
    """Return the names of the keywords of a kind; none if there is no such kind."""
    return frozenset(keyword.name for keyword in KINDS[kind].keywords) if kind in KINDS else frozenset()


@cache
def all_keywords() -> tuple[Keyword, ...]:
    """Return the keywords of all kinds, each once, in their order; last those that several kinds have."""
    found: dict[str, Keyword] = {}
    shared: dict[str, Keyword] = {}
    for kind in KINDS.values():
        for keyword in kind.keywords:
            if keyword.name in found:
                shared[keyword.name] = found[keyword.name]
            found.setdefault(keyword.name, keyword)
    return (*(keyword for name, keyword in found.items() if name not in shared), *shared.values())


@cache
def kinds_of_keywords() -> dict[str, str]:
    """Return the kind of each keyword that only one kind has."""
    having: dict[str, list[str]] = {}
    for kind, schedule in KINDS.items():
        for keyword in schedule.keywords:
            having.setdefault(keyword.name, []).append(kind)
    return {name: kinds[0] for name, kinds in having.items() if len(kinds) == 1}


def forget_keywords() -> None:
    """Compute the keywords again: a kind was added or removed."""
    for computed in (keywords_of, all_keywords, kinds_of_keywords):
        computed.cache_clear()


def number_or_text(text: str) -> int | float | str:
    """Convert what was typed to a number if it is one: seconds, next to ISO 8601."""
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def list_from_text(text: str) -> list[str]:
    """Split what was typed at its commas."""
    return [part.strip() for part in text.split(",") if part.strip()]
