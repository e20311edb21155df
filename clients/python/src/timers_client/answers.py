"""Responses of the service as objects; `raw` contains the whole response."""

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
    """Parse an instant of a response."""
    return None if text is None else datetime.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer; `raw` also contains the keywords of its kind (period, expression and so on) and all other fields."""

    group: str
    name: str
    kind: str
    words: str
    """Description of the schedule."""
    state: str
    """One of: active, paused, finished, cancelled."""
    payload: Any
    next_fire_at: datetime | None
    last_fire_at: datetime | None
    last_outcome: str
    fire_count: int
    until_committed: bool
    tags: tuple[str, ...]
    version: int
    in_flight: tuple[str, ...]
    """Executions claimed now; empty in lists, which do not contain them."""
    raw: Raw = field(repr=False)

    @classmethod
    def of(cls, raw: Raw) -> Timer:
        """Build it from a response."""
        return cls(
            raw["group"], raw["name"], raw["kind"], raw["words"], raw["state"], raw["payload"],
            instant(raw["next_fire_at"]), instant(raw["last_fire_at"]), raw["last_outcome"], raw["fire_count"],
            raw["until_committed"], tuple(raw["tags"]), raw["version"], tuple(raw.get("in_flight", ())), raw,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Extended:
    """A claim whose lease was extended."""

    expires_at: datetime
    cancelled: tuple[str, ...]
    """Its executions that were asked to stop: discard them."""
    raw: Raw = field(repr=False)

    @classmethod
    def of(cls, raw: Raw) -> Extended:
        """Build it from a response."""
        return cls(datetime.fromisoformat(raw["expires_at"]), tuple(raw.get("cancelled", ())), raw)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Result of cancelling a timer."""

    timer: Timer
    in_flight: tuple[str, ...]
    """Claimed executions: they were asked to stop, but may still run."""
    cancelled: int
    """Number of executions that waited for another attempt and were cancelled."""

    @classmethod
    def of(cls, raw: Raw) -> Cancelled:
        """Build it from a response."""
        return cls(Timer.of(raw["timer"]), tuple(raw["in_flight"]), raw["cancelled"])


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution. If it was read by its id, `raw` also contains payload, result and attempts."""

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
        """Build it from a response."""
        return cls(
            raw["id"], raw["group"], raw["timer"], raw["state"], raw["attempt"],
            datetime.fromisoformat(raw["scheduled_for"]), raw["error"], raw,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """Result of one request of many."""

    index: int
    """Its position among them, from 0."""
    name: str | None
    result: str
    """One of: created, replaced, kept, refused."""
    next_fire_at: datetime | None
    errors: tuple[FieldProblem, ...]
    in_flight: tuple[str, ...] = ()
    """For a replaced timer: executions that had begun."""

    @classmethod
    def of(cls, raw: Raw, begun: int = 0) -> Result:
        """Build it from a response. `begun`: number of requests sent in earlier calls."""
        return cls(
            begun + raw["index"], raw["name"], raw["result"], instant(raw.get("next_fire_at")), _problems(raw),
            tuple(raw.get("in_flight", ())),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Claimed(Received):
    """One claimed message. Properties such as payload, group, name and number_of_try are read from its envelope."""

    execution: str
    token: str
    envelope: Raw

    @classmethod
    def of(cls, raw: Raw) -> Claimed:
        """Build it from a response."""
        return cls(raw["execution"], raw["token"], raw["envelope"])


@dataclass(frozen=True, slots=True)
class Settled:
    """Result of one of many messages, or the reason of its failure."""

    execution: str
    outcome: str | None
    errors: tuple[FieldProblem, ...]

    @classmethod
    def of(cls, raw: Raw) -> Settled:
        """Build it from a response."""
        return cls(raw["execution"], raw.get("outcome"), _problems(raw))


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list, and the cursor of the next."""

    items: tuple[Item, ...]
    next: str | None


def _problems(raw: Raw) -> tuple[FieldProblem, ...]:
    return tuple(FieldProblem(each["field"], each["message"]) for each in raw.get("errors", ()))
