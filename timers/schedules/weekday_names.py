"""Days of the week by name, as in specs and rules: "sat" or "Saturday"."""

from __future__ import annotations

import difflib
from typing import Any

from timers.exceptions import InvalidRequest
from timers.schedules.names_in_words import WEEKDAYS

_SHORT = tuple(name[:3].lower() for name in WEEKDAYS)
_BY_NAME = {name.lower(): number for number, name in enumerate(WEEKDAYS)} | {
    name: number for number, name in enumerate(_SHORT)
}


def parse_weekdays(value: Any, field: str) -> frozenset[int]:
    """Return numbers from 0 (Sunday) to 6 for a list of names.

    Raises InvalidRequest for an unknown name, and for an empty list.
    """
    if not isinstance(value, (list, tuple)) or not value or len(value) > 100:
        raise InvalidRequest(field, 'must be a list of days of the week, such as ["sat", "sun"]', given=value)
    return frozenset(_number(name, field) for name in value)


def weekday_names(numbers: frozenset[int]) -> list[str]:
    """Return the short names of days, Monday first, as parse_weekdays reads them."""
    return [_SHORT[number] for number in monday_first(numbers)]


def monday_first(numbers: frozenset[int]) -> list[int]:
    """Return days of the week in the usual order for people."""
    return sorted(numbers, key=lambda number: (number - 1) % 7)


def _number(name: Any, field: str) -> int:
    found = _BY_NAME.get(name.lower()) if isinstance(name, str) else None
    if found is None:
        near = difflib.get_close_matches(str(name)[:32].lower(), _BY_NAME, n=1, cutoff=0.5)
        hint = f", did you mean {near[0]}?" if near else f"; allowed: {', '.join(_SHORT)}"
        raise InvalidRequest(field, f"is no day of the week{hint}", given=name)
    return found
