"""From keywords, as the Python API, declarations and files give them, to the TimerSpec they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from timers.exceptions import SpecError
from timers.lifecycle.control.spec import TimerSpec
from timers.schedules import Schedule, parse
from timers.schedules.duration import parse_duration
from timers.schedules.instant import parse_instant
from timers.schedules.zones import zone

_CLOCK_POLICY: Final = frozenset({"gap", "fold"})

OWN_KEYWORDS: Final = {
    "once": frozenset({"at", "after"}),
    "fixed_rate": frozenset({"period"}),
    "fixed_delay": frozenset({"delay"}),
    "cron": frozenset({"expression"}) | _CLOCK_POLICY,
    "calendar": frozenset({"second", "minute", "hour", "day_of_month", "month", "day_of_week", "year"}) | _CLOCK_POLICY,
    "window": frozenset({"begin", "end", "every", "weekdays"}) | _CLOCK_POLICY,
    "rrule": frozenset({"rule"}) | _CLOCK_POLICY,
}
"""The keywords of each kind's own."""

SCHEDULE_KEYWORDS: Final = frozenset({"kind"}).union(*OWN_KEYWORDS.values())

OPTIONS: Final = frozenset(
    {
        "payload", "handler", "action", "start_at", "end_at", "max_fires", "jitter", "priority", "until_committed",
        "time_zone", "overrides", "tags", "description",
    }
)  # fmt: skip
"""The keywords that all kinds share, beside group and name."""


def parse_request(request: Mapping[str, Any], now: datetime) -> TimerSpec:
    """The spec that these keywords (kind, group, name, ...) ask for, or one SpecError for all that is wrong."""
    fields = dict(request)
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in OWN_KEYWORDS:
        raise SpecError("kind", f"must be one of {', '.join(OWN_KEYWORDS)}", given=kind)
    own = {keyword: fields.pop(keyword) for keyword in OWN_KEYWORDS[kind] & set(fields)}
    _refuse_unknown(set(fields) - {"group", "name"}, OPTIONS, OWN_KEYWORDS[kind], f"for {kind}")
    time_zone = fields.get("time_zone") or "UTC"
    whose = Whose(str(fields.get("group")), str(fields.get("name")), time_zone, fields.get("start_at"))
    return TimerSpec.parse(
        schedule=lambda: parse_schedule(kind, own, whose, now),
        **{"group": None, "name": None, **fields, "time_zone": time_zone},
    )


def check_changes(changes: Mapping[str, Any]) -> None:
    """Raises SpecError for a keyword that no timer has, or that is not to be changed."""
    _refuse_unknown(set(changes), OPTIONS | SCHEDULE_KEYWORDS, frozenset(), "here, or cannot be changed")


def _refuse_unknown(given: set[str], options: frozenset[str], own: frozenset[str], where: str) -> None:
    unknown = sorted(given - options)
    if unknown:
        known = options | own
        near = get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
        raise SpecError(unknown[0], f"is not known {where}; {hint}")


class Whose(NamedTuple):
    """What a schedule needs to know of its timer: H in cron hashes the name, rates and rules count from start_at."""

    group: str
    name: str
    time_zone: str
    start_at: Any


def parse_schedule(kind: str, own: Mapping[str, Any], whose: Whose, now: datetime) -> Schedule:
    """The schedule of a kind from its own keywords; raises SpecError."""
    return parse(kind, _spec_of(kind, own, whose, now), whose.time_zone)


def kind_of(request: Mapping[str, Any]) -> str | None:
    """The kind whose own keyword is among these; None when they are shared by several, or none is."""
    kinds = [kind for kind, keywords in OWN_KEYWORDS.items() if (keywords - _CLOCK_POLICY) & set(request)]
    return kinds[0] if kinds else None


def _spec_of(kind: str, own: Mapping[str, Any], whose: Whose, now: datetime) -> dict[str, Any]:
    if kind == "once":
        return {"at": _once_at(own.get("at"), own.get("after"), now).isoformat()}
    if kind == "fixed_rate":
        return {"period": own.get("period"), "anchor": _start(whose, now).isoformat()}
    given = {keyword: value for keyword, value in own.items() if value is not None}
    if kind == "cron":
        return {**given, "seed": f"{whose.group}/{whose.name}"}
    if kind == "rrule":
        wall = _start(whose, now).astimezone(zone(whose.time_zone)).replace(tzinfo=None, microsecond=0)
        return {**given, "start": wall.isoformat()}
    return given


def _start(whose: Whose, now: datetime) -> datetime:
    return now if whose.start_at is None else parse_instant(whose.start_at, "start_at")


def _once_at(at: Any, after: Any, now: datetime) -> datetime:
    if (at is None) == (after is None):
        raise SpecError("at", "give either at (an instant) or after (a duration from now)")
    if at is not None:
        return parse_instant(at, "at")
    return now + timedelta(microseconds=parse_duration(after, "after", allow_zero=True))
