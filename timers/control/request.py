"""Convert keywords, as the Python API, declarations and files pass them, to a TimerSpec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from timers.control.spec import TimerSpec
from timers.domain.errors import READ_ONLY_FIELDS, ErrorCollector
from timers.domain.policies import check_seconds
from timers.exceptions import InvalidRequest
from timers.schedules import Schedule, parse
from timers.schedules.kinds import KINDS, Context, all_keywords, keywords_of, kinds_of_keywords
from timers.schedules.zones import zone

_NAMES: Final = frozenset({"group", "name"})
OPTIONS: Final = frozenset(
    {
        "payload", "handler", "action", "start_at", "end_at", "max_fires", "jitter", "priority", "until_committed",
        "time_zone", "overrides", "concurrency_key", "tags", "description",
    }
)  # fmt: skip
"""The keywords that all kinds share, in addition to group and name."""


_ONLY_TOLD: Final = READ_ONLY_FIELDS | {
    "words", "paused_until", "next_fire_at", "remaining", "effective_state", "due_since",
    "last_fire_at", "last_outcome", "last_result", "fire_count",
    "failures_in_a_row", "in_flight", "state_changed_at", "state_changed_by",
}  # fmt: skip
"""Read-only fields of a timer."""


def parse_request(request: Mapping[str, Any], now: datetime, *, looks_up: bool = True) -> TimerSpec:
    """Return the spec for these keywords (kind, group, name, ...). Raise one InvalidRequest for all errors.

    Args:
        request: the keywords.
        now: current time of the timer's group.
        looks_up: see TimerSpec.parse.
    """
    fields = dict(request)
    kind = fields.pop("kind", None)
    is_known = isinstance(kind, str) and kind in KINDS
    max_wait = fields.pop("debounce_max_wait", None) if kind == "once" else None
    of_kind = keywords_of(kind) if is_known else schedule_keywords() - {"kind"}
    mistakes = ErrorCollector()
    mistakes.refuse_unknown(
        fields, _NAMES | OPTIONS | of_kind, where=f"for {kind}" if is_known else "", told=_ONLY_TOLD
    )
    own = {keyword: fields[keyword] for keyword in of_kind & set(fields)}
    options = {keyword: fields[keyword] for keyword in (_NAMES | OPTIONS) & set(fields)}
    time_zone = fields.get("time_zone", "UTC")
    whose = Whose(str(fields.get("group")), str(fields.get("name")), time_zone, fields.get("start_at"))
    seconds = None
    if max_wait is not None:
        seconds = mistakes.check(lambda: check_seconds("debounce_max_wait", max_wait))
    spec = TimerSpec.parse(
        mistakes=mistakes,
        looks_up=looks_up,
        schedule=lambda: parse_schedule(kind, own, whose, now),
        **{"group": None, "name": None, **options, "time_zone": time_zone},
    )
    return spec if seconds is None else replace(spec, debounce_max_wait=seconds)


def known_changes(changes: Mapping[str, Any], mistakes: ErrorCollector) -> dict[str, Any]:
    """Return the changes that a timer accepts; add an error to `mistakes` for each of the others."""
    known = OPTIONS | schedule_keywords()
    mistakes.refuse_unknown(changes, known, where="here, or cannot be changed", told=_ONLY_TOLD)
    return {keyword: value for keyword, value in changes.items() if keyword in known}


class Whose(NamedTuple):
    """What a schedule needs of its timer: H in cron hashes the name, rates and rules count from start_at."""

    group: str
    name: str
    time_zone: Any
    start_at: Any
    anchor: str | None = None
    """The instant from which a stored rate or rule counts, as in its spec; it continues from there. None: start_at."""


def counts_from(kind: str) -> str | None:
    """Return the field of a kind's spec with the instant from which it counts; None if there is none."""
    return KINDS[kind].counts_from if kind in KINDS else None


def anchor_of(kind: str, spec: Any) -> str | None:
    """Return the instant from which a stored schedule counts, as text; None if it has none or cannot be read."""
    field = counts_from(kind)
    anchor = spec.get(field) if field is not None and isinstance(spec, Mapping) else None
    return anchor if isinstance(anchor, str) else None


def parse_schedule(kind: Any, own: Mapping[str, Any], whose: Whose, now: datetime) -> Schedule:
    """Return the schedule of a kind from its own keywords. Raise one InvalidRequest for all errors."""
    mistakes = ErrorCollector()
    if not isinstance(kind, str) or kind not in KINDS:
        mistakes.add(InvalidRequest("kind", f"must be one of {', '.join(KINDS)}", given=kind))
        mistakes.check(lambda: zone(whose.time_zone))
        mistakes.raise_if_any()
    spec = _spec_of(kind, own, whose, now, mistakes)
    schedule = mistakes.check(lambda: parse(kind, spec, whose.time_zone))
    mistakes.raise_if_any()
    return schedule


def kind_of(request: Mapping[str, Any]) -> str | None:
    """Return the kind that one of these keywords belongs to; None if all are shared by several kinds, or none is."""
    kinds = {kind for keyword, kind in kinds_of_keywords().items() if keyword in request}
    return next((kind for kind in KINDS if kind in kinds), None)


def schedule_keywords() -> frozenset[str]:
    """Return the keywords of all kinds, and `kind`."""
    return frozenset({"kind", *(keyword.name for keyword in all_keywords())})


def _spec_of(
    kind: str, own: Mapping[str, Any], whose: Whose, now: datetime, mistakes: ErrorCollector
) -> dict[str, Any]:
    """Return the spec as it is stored. An invalid value is reported to `mistakes` and replaced by a valid one."""
    given = {keyword: value for keyword, value in own.items() if value is not None}
    anchored_by = counts_from(kind)
    if anchored_by is not None and whose.anchor is not None:
        return {**given, anchored_by: whose.anchor}
    context = Context(whose.group, whose.name, whose.time_zone, whose.start_at, now, mistakes)
    return KINDS[kind].spec_from(given, context)
