"""From keywords, as the Python API, declarations and files give them, to the TimerSpec they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from timers.exceptions import SpecError
from timers.lifecycle.control.spec import TimerSpec
from timers.schedules import Schedule, parse
from timers.schedules.duration import parse_duration
from timers.schedules.instant import parse_instant

OWN_KEYWORDS: Final = {
    "once": frozenset({"at", "after"}),
    "fixed_rate": frozenset({"period"}),
    "fixed_delay": frozenset({"delay"}),
    "cron": frozenset({"expression"}),
}
"""The keywords of each kind's own."""

SCHEDULE_KEYWORDS: Final = frozenset({"kind"}).union(*OWN_KEYWORDS.values())

OPTIONS: Final = frozenset(
    {
        "payload", "handler", "action", "start_at", "end_at", "max_fires", "until_committed", "time_zone", "overrides",
        "tags", "description",
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
    unknown = sorted(set(fields) - OPTIONS - {"group", "name"})
    if unknown:
        raise SpecError(
            unknown[0], f"is not known for {kind}; known are {', '.join(sorted(OPTIONS | OWN_KEYWORDS[kind]))}"
        )
    time_zone = fields.get("time_zone") or "UTC"
    return TimerSpec.parse(
        schedule=lambda: parse_schedule(kind, own, fields.get("start_at"), time_zone, now),
        **{"group": None, "name": None, **fields, "time_zone": time_zone},
    )


def parse_schedule(kind: str, own: Mapping[str, Any], start_at: Any, time_zone: str, now: datetime) -> Schedule:
    """The schedule of a kind from its own keywords; raises SpecError."""
    if kind == "once":
        return parse("once", {"at": _once_at(own.get("at"), own.get("after"), now).isoformat()}, time_zone)
    if kind == "fixed_rate":
        anchor = now if start_at is None else parse_instant(start_at, "start_at")
        return parse("fixed_rate", {"period": own.get("period"), "anchor": anchor.isoformat()}, time_zone)
    if kind == "fixed_delay":
        return parse("fixed_delay", {"delay": own.get("delay")}, time_zone)
    return parse("cron", {"expression": own.get("expression")}, time_zone)


def kind_of(request: Mapping[str, Any]) -> str:
    """The kind whose own keyword is among these; raises SpecError when there is none."""
    for kind, keywords in OWN_KEYWORDS.items():
        if keywords & set(request):
            return kind
    raise SpecError("kind", "must come with the schedule's own keyword (at, after, period, delay, expression)")


def _once_at(at: Any, after: Any, now: datetime) -> datetime:
    if (at is None) == (after is None):
        raise SpecError("at", "give either at (an instant) or after (a duration from now)")
    if at is not None:
        return parse_instant(at, "at")
    return now + timedelta(microseconds=parse_duration(after, "after", allow_zero=True))
