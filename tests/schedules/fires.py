"""What a schedule says, as short text: for tables of expected instants."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from timers.schedules import Schedule, parse


def first_fires(schedule: Schedule, start: datetime, count: int) -> list[datetime]:
    """The first instants after `start`, at most `count`."""
    found: list[datetime] = []
    moment = schedule.next_after(start)
    while moment is not None and len(found) < count:
        found.append(moment)
        moment = schedule.next_after(moment)
    return found


def in_utc(kind: str, spec: dict[str, Any], start: str, count: int) -> str:
    """The first walls after a wall in UTC: "2026-11-21 00:05, 2026-11-22 00:05", seconds only where there are any."""
    moments = first_fires(parse(kind, spec), datetime.fromisoformat(start).replace(tzinfo=UTC), count)
    return ", ".join(f"{m:%Y-%m-%d %H:%M:%S}" if m.second else f"{m:%Y-%m-%d %H:%M}" for m in moments)


def in_zone(kind: str, spec: dict[str, Any], zone: str, start: str, count: int) -> str:
    """The same on a zone's clock, from a wall or an instant, with offsets: "2026-11-21 00:05+01, ..."."""
    given, clock = datetime.fromisoformat(start), ZoneInfo(zone)
    moments = first_fires(parse(kind, spec, zone), given if given.tzinfo else given.replace(tzinfo=clock), count)
    return ", ".join(m.astimezone(clock).strftime("%Y-%m-%d %H:%M%z").removesuffix("00") for m in moments)
