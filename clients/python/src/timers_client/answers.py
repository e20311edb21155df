"""What the service tells, as objects; `raw` holds the whole answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from timers_client.errors import FieldProblem
from timers_client.received import Received

Raw = Mapping[str, Any]
Item = TypeVar("Item")


def instant(text: str | None) -> datetime | None:
    """An instant of an answer."""
    return None if text is None else datetime.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer; the keywords of its kind (period, expression and so on) and all else are in `raw`."""

    group: str
    name: str
    kind: str
    words: str
    """The schedule in plain words."""
    state: str
    """active, paused, finished or cancelled."""
    payload: Any
    next_fire_at: datetime | None
    last_fire_at: datetime | None
    last_outcome: str
    fire_count: int
    until_committed: bool
    tags: tuple[str, ...]
    version: int
    in_flight: tuple[str, ...]
    """Executions that are held right now; told of one timer, not in lists."""
    raw: Raw = field(repr=False)

    @classmethod
    def of(cls, raw: Raw) -> Timer:
        """From an answer."""
        return cls(
            raw["group"], raw["name"], raw["kind"], raw["words"], raw["state"], raw["payload"],
            instant(raw["next_fire_at"]), instant(raw["last_fire_at"]), raw["last_outcome"], raw["fire_count"],
            raw["until_committed"], tuple(raw["tags"]), raw["version"], tuple(raw.get("in_flight", ())), raw,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Extended:
    """A claim that is kept longer."""

    expires_at: datetime
    cancelled: tuple[str, ...]
    """Those of its executions that have been asked to end: discard them."""
    raw: Raw = field(repr=False)

    @classmethod
    def of(cls, raw: Raw) -> Extended:
        """From an answer."""
        return cls(datetime.fromisoformat(raw["expires_at"]), tuple(raw.get("cancelled", ())), raw)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What became of a timer that was cancelled."""

    timer: Timer
    in_flight: tuple[str, ...]
    """Executions that are held: asked to end, but they may run."""
    cancelled: int
    """Executions that waited for another try and will not get it."""

    @classmethod
    def of(cls, raw: Raw) -> Cancelled:
        """From an answer."""
        return cls(Timer.of(raw["timer"]), tuple(raw["in_flight"]), raw["cancelled"])


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution; `raw` of one that was asked for by its id also has payload, result and attempts."""

    id: str
    group: str
    timer: str
    state: str
    attempt: int
    scheduled_for: datetime
    error: str
    raw: Raw = field(repr=False)

    @classmethod
    def of(cls, raw: Raw) -> Execution:
        """From an answer."""
        return cls(
            raw["id"], raw["group"], raw["timer"], raw["state"], raw["attempt"],
            datetime.fromisoformat(raw["scheduled_for"]), raw["error"], raw,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one request of many."""

    index: int
    """Its place among them, from 0."""
    name: str | None
    result: str
    """created, replaced, kept or refused."""
    next_fire_at: datetime | None
    errors: tuple[FieldProblem, ...]
    in_flight: tuple[str, ...] = ()
    """Of a replaced timer: executions that had begun."""

    @classmethod
    def of(cls, raw: Raw, begun: int = 0) -> Result:
        """From an answer to a call before which so many were sent in others."""
        return cls(
            begun + raw["index"], raw["name"], raw["result"], instant(raw.get("next_fire_at")), _problems(raw),
            tuple(raw.get("in_flight", ())),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Claimed(Received):
    """One message as it was claimed: its payload, group, name, number_of_try and so on are read of its envelope."""

    execution: str
    token: str
    envelope: Raw

    @classmethod
    def of(cls, raw: Raw) -> Claimed:
        """From an answer."""
        return cls(raw["execution"], raw["token"], raw["envelope"])


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one of many messages, or why nothing did."""

    execution: str
    outcome: str | None
    errors: tuple[FieldProblem, ...]

    @classmethod
    def of(cls, raw: Raw) -> Settled:
        """From an answer."""
        return cls(raw["execution"], raw.get("outcome"), _problems(raw))


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list, and the cursor of the next."""

    items: tuple[Item, ...]
    next: str | None


def _problems(raw: Raw) -> tuple[FieldProblem, ...]:
    return tuple(FieldProblem(each["field"], each["message"]) for each in raw.get("errors", ()))
