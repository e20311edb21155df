"""The types of keywords, and what the builders of calls share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypedDict

from timers_client.answers import Item, Page, Raw
from timers_client.call import encoded

Duration = int | float | str | timedelta
"""Seconds, ISO 8601 ("PT1M30S") or a timedelta."""
Instant = datetime | str
"""With its offset from UTC."""
OnConflict = Literal["reject", "replace", "keep"]
"""What becomes of a request whose name is taken."""
Overlap = Literal["skip", "queue", "allow", "replace"]
"""What becomes of a run while an execution of its timer has not ended."""
Kind = Literal["once", "fixed_rate", "fixed_delay", "cron", "calendar", "window", "rrule"]
Attribute = str | int


class _NotGiven:
    def __repr__(self) -> str:
        return "<not given>"


NOT_GIVEN: Final[Any] = _NotGiven()
"""Stands for what was not given, where None means something."""


class Shared(TypedDict, total=False):
    """The options of all kinds; what they mean is told in the service's pages on scheduling."""

    payload: Any
    handler: str | None
    action: Mapping[str, Any] | None
    start_at: Instant | None
    end_at: Instant | None
    max_fires: int | None
    jitter: Duration
    priority: int
    until_committed: bool
    overrides: Mapping[str, Any] | None
    concurrency_key: str | None
    tags: Iterable[str]
    description: str
    on_conflict: OnConflict


class Options(Shared, total=False):
    """The options of kinds that need no wall clock: the zone is that of the envelope's instants."""

    time_zone: str


class WallClock(Shared, total=False):
    """The options of kinds that go by a wall clock: what becomes of times that do not exist, or exist twice."""

    gap: Literal["run_after", "skip"]
    fold: Literal["once", "twice"]


class Calendar(WallClock, total=False):
    """The attributes of a calendar expression, as Jakarta Enterprise Beans has them."""

    second: Attribute
    minute: Attribute
    hour: Attribute
    day_of_month: Attribute
    month: Attribute
    day_of_week: Attribute
    year: Attribute


class Window(WallClock, total=False):
    """The options of a window."""

    weekdays: Iterable[str] | None


def raw(answer: Any) -> Raw:
    """The answer as it is."""
    return dict(answer)


def raws(answer: Any) -> list[Raw]:
    """The items of an answer that has no further pages."""
    return [dict(each) for each in answer["items"]]


def page_of(of: Callable[[Raw], Item]) -> Callable[[Any], Page[Item]]:
    """One page of a list whose items are read so."""
    return lambda answer: Page(tuple(of(each) for each in answer["items"]), answer["next"])


def nothing(_: Any) -> None:
    """An answer that tells nothing new."""


def started(answer: Any) -> str:
    """The execution that an answer names."""
    return str(answer["execution"])


def payload_of(payload: Any) -> bytes:
    """A body with a payload, if one is given."""
    return encoded({} if payload is NOT_GIVEN else {"payload": payload})


def if_match(version: int | None) -> dict[str, str]:
    """The header by which a change is refused when somebody else was first."""
    return {} if version is None else {"If-Match": f'"{version}"'}
