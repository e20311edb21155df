"""The kinds that there are, and parsing of stored specs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from threading import Lock
from typing import Any, Final

from timers.exceptions import InvalidRequest
from timers.schedules.kinds import KINDS
from timers.schedules.schedule import Schedule

# isort: off
# They register themselves, in the order in which they are listed everywhere.
from timers.schedules import once, interval, cron, calendar, window, rrule  # noqa: F401
# isort: on


def parse(kind: str, spec: Mapping[str, Any], time_zone: str = "UTC") -> Schedule:
    """Build a schedule from a kind and its spec. Raises InvalidRequest that names the invalid field."""
    schedule_class = _class_of(kind)
    if not isinstance(spec, Mapping):
        raise InvalidRequest("schedule", "must be an object", given=spec)
    return schedule_class.parse(spec, time_zone)


def parse_text(kind: str, spec_text: str, time_zone: str) -> Schedule:
    """Build a schedule from a kind and its spec as JSON text: the hot path, because rows contain text.

    Recurring schedules are cached, and so are the errors of those that cannot be parsed. Schedules of one instant are
    not, because they would only displace the others.
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
    """Build the schedule of a stored timer as `parse` does, with the cache of `parse_text`.

    Values that cannot be cache keys (a change may give a list as time zone) are passed to `parse`, which refuses them.
    """
    if isinstance(spec, dict) and isinstance(time_zone, str):
        return parse_text(kind, json.dumps(spec), time_zone)
    return parse(kind, spec, time_zone)


def is_remembered(kind: str, spec_text: str, time_zone: str) -> bool:
    """Return whether parse_text is cheap: the schedule is cached, or of a kind that costs nothing."""
    found = KINDS.get(kind)
    return found is None or not found.recurring or (kind, spec_text, time_zone) in _remembered


def _parse_text(kind: str, spec_text: str, time_zone: str) -> Schedule:
    try:
        spec = json.loads(spec_text)
    except (ValueError, RecursionError):  # too many digits, too deep, or not JSON
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
