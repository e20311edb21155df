"""The kinds of schedule by their names, and the way from a stored spec to a schedule."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from threading import Lock
from typing import Any, Final

from timers.exceptions import InvalidRequest
from timers.schedules.calendar import Calendar
from timers.schedules.cron import Cron
from timers.schedules.interval import FixedDelay, FixedRate
from timers.schedules.once import Once
from timers.schedules.rrule import RRule
from timers.schedules.schedule import Schedule
from timers.schedules.window import Window

# A further kind is one file and one line here.
KINDS: dict[str, type[Schedule]] = {
    Once.kind: Once,
    FixedRate.kind: FixedRate,
    FixedDelay.kind: FixedDelay,
    Cron.kind: Cron,
    Calendar.kind: Calendar,
    Window.kind: Window,
    RRule.kind: RRule,
}


def parse(kind: str, spec: Mapping[str, Any], time_zone: str = "UTC") -> Schedule:
    """The schedule of a kind and its spec, or InvalidRequest naming the field that is wrong."""
    schedule_class = _class_of(kind)
    if not isinstance(spec, Mapping):
        raise InvalidRequest("schedule", "must be an object", given=spec)
    return schedule_class.parse(spec, time_zone)


def parse_text(kind: str, spec_text: str, time_zone: str) -> Schedule:
    """The schedule of a kind and its spec as JSON text: the hot path, as rows come.

    Recurring schedules are remembered, and so are the errors of those that cannot be parsed; schedules of one instant
    are not, for they would only push the others out.
    """
    if not _class_of(kind).recurring:
        return _parse_text(kind, spec_text, time_zone)
    key = kind, spec_text, time_zone
    found = _remembered.get(key)
    if found is None:
        try:
            found = _parse_text(kind, spec_text, time_zone)
        except InvalidRequest as error:
            found = error
        _remember(key, found)
    if isinstance(found, InvalidRequest):
        raise found.with_traceback(None)
    return found


def parse_stored(kind: str, spec: Any, time_zone: Any) -> Schedule:
    """The same as `parse`, for the spec of a stored timer: it is remembered as by `parse_text`.

    What cannot be a key of what is remembered (a change may give a list as time zone) goes to `parse`, to be refused.
    """
    if isinstance(spec, dict) and isinstance(time_zone, str):
        return parse_text(kind, json.dumps(spec), time_zone)
    return parse(kind, spec, time_zone)


def is_remembered(kind: str, spec_text: str, time_zone: str) -> bool:
    """Whether parse_text answers at once: the schedule was parsed before, or is of a kind that costs nothing."""
    found = KINDS.get(kind)
    return found is None or not found.recurring or (kind, spec_text, time_zone) in _remembered


def _parse_text(kind: str, spec_text: str, time_zone: str) -> Schedule:
    try:
        spec = json.loads(spec_text)
    except (ValueError, RecursionError):  # too many digits, too deep, or no JSON at all
        raise InvalidRequest("schedule", "is not readable JSON", given=spec_text) from None
    return parse(kind, spec, time_zone)


MOST_REMEMBERED: Final = 16_384
_remembered: dict[tuple[str, str, str], Schedule | InvalidRequest] = {}
_remembering = Lock()


def _remember(key: tuple[str, str, str], found: Schedule | InvalidRequest) -> None:
    with _remembering:
        if len(_remembered) >= MOST_REMEMBERED:
            for oldest in list(islice(_remembered, MOST_REMEMBERED // 2)):
                del _remembered[oldest]
        _remembered[key] = found


def _class_of(kind: str) -> type[Schedule]:
    found = KINDS.get(kind) if isinstance(kind, str) else None
    if found is None:
        raise InvalidRequest("schedule_kind", f"must be one of {', '.join(KINDS)}", given=kind)
    return found
