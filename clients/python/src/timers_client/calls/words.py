"""Types of keywords, and functions that the builders of calls share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypedDict

from timers_client.answers import Item, Page, Raw
from timers_client.call import encoded

Duration = int | float | str | timedelta
"""Seconds, ISO 8601 text ("PT1M30S") or a timedelta."""
Instant = datetime | str
"""An aware datetime, or ISO 8601 text with its offset from UTC."""
OnConflict = Literal["reject", "replace", "keep"]
"""What to do with a request whose name is taken."""
Overlap = Literal["skip", "queue", "allow", "replace"]
"""What to do with a run while an execution of its timer has not ended."""
Kind = Literal["once", "fixed_rate", "fixed_delay", "cron", "calendar", "window", "rrule"]
Attribute = str | int


class _NotGiven:
    def __repr__(self) -> str:
        return "<not given>"


NOT_GIVEN: Final[Any] = _NotGiven()
"""Default of arguments for which None has a meaning."""


class Shared(TypedDict, total=False):
    """Options of all kinds; the service's documentation of scheduling describes them."""

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
    """Options of kinds without a wall clock; the time zone is that of the envelope's instants."""

    time_zone: str


class WallClock(Shared, total=False):
    """Options of wall-clock kinds: what happens to times that clock changes skip or repeat."""

    gap: Literal["run_after", "skip"]
    fold: Literal["once", "twice"]


class Calendar(WallClock, total=False):
    """Attributes of a calendar expression of Jakarta Enterprise Beans."""

    second: Attribute
    minute: Attribute
    hour: Attribute
    day_of_month: Attribute
    month: Attribute
    day_of_week: Attribute
    year: Attribute


class Window(WallClock, total=False):
    """Options of a window."""

    weekdays: Iterable[str] | None


def raw(answer: Any) -> Raw:
    """Return the response unchanged."""
    return dict(answer)


def raws(answer: Any) -> list[Raw]:
    """Return the items of a response that has no further pages."""
    return [dict(each) for each in answer["items"]]


def page_of(of: Callable[[Raw], Item]) -> Callable[[Any], Page[Item]]:
    """Return a function that reads one page of a list, with `of` for its items."""
    return lambda answer: Page(tuple(of(each) for each in answer["items"]), answer["next"])


def nothing(_: Any) -> None:
    """Ignore a response without new information."""


def started(answer: Any) -> str:
    """Return the execution that a response names."""
    return str(answer["execution"])


def payload_of(payload: Any) -> bytes:
    """Return a body with a payload, if one is given."""
    return encoded({} if payload is NOT_GIVEN else {"payload": payload})


def if_match(version: int | None) -> dict[str, str]:
    """Return the header that makes a change fail if the version has changed."""
    return {} if version is None else {"If-Match": f'"{version}"'}
