"""Compare two states of one timer field by field: declared before, declared now, or stored in the row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from timers.control.next_instant import rule_of
from timers.control.spec import TimerSpec
from timers.domain.payload import Unreadable, encode
from timers.models import Timer
from timers.models.schedule_words import schedule_words
from timers.schedules.rule import Rule

_NOT_COMPARED: Final = frozenset({"group", "name", "source", "declared", "debounce_max_wait"})
FIELDS: Final = tuple(field.name for field in fields(TimerSpec) if field.name not in _NOT_COMPARED)
"""Fields that are compared, in the order of a request."""
RULE: Final = frozenset({"schedule", "time_zone", "start_at", "end_at", "max_fires"})
"""Fields that determine when the timer fires: a finished timer becomes active again if a declaration changes one of
them.
"""
_SHOWN: Final = 100
"""Maximum number of characters of a value that are shown."""

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field: its value before and after; if an edit by hand is kept, `after` is the declared value."""

    field: str
    before: str
    after: str
    edited: bool = False
    """Whether somebody changed it by hand since the last declaration."""

    def __str__(self) -> str:
        return f"{self.field}: {self.before} -> {self.after}{' (was edited by hand)' if self.edited else ''}"


def values_of_spec(spec: TimerSpec) -> Values:
    """Return the values of a declaration, in comparable form."""
    values = {name: getattr(spec, name) for name in FIELDS}
    values["schedule"] = Rule(spec.schedule.kind, spec.schedule.to_spec(), spec.time_zone)
    values["action"] = None if spec.action is None else json.loads(spec.action)
    values["overrides"] = None if spec.overrides is None else json.loads(spec.overrides)
    return {**values, "tags": list(spec.tags)}


def values_of_row(row: Timer) -> Values:
    """Return the values of a row, comparable with those of a declaration."""
    values = {name: getattr(row, name) for name in FIELDS if name != "schedule"}
    values["schedule"] = rule_of(row)
    # As text: 1, 1.0 and true are three different payloads, and the order of keys matters.
    if row.payload is not None and not isinstance(row.payload, Unreadable):
        values["payload"] = encode(row.payload)
    return {**values, "tags": list(row.tags)}


def changed(before: Values, after: Values) -> list[str]:
    """Return the names of the fields that differ."""
    return [name for name in FIELDS if before[name] != after[name]]


def is_as_defined(row: Timer, spec: TimerSpec) -> bool:
    """Return whether the timer already has this definition, so that writing it would change nothing."""
    return not changed(values_of_row(row), values_of_spec(spec))


def in_words(name: str, values: Values) -> str:
    """Return a value as shortened text for people."""
    value = values[name]
    if name == "schedule":
        return _shortened(schedule_words(value.kind, value.spec, values["time_zone"]))
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return _shortened(value) if name == "payload" else repr(_shortened(value))
    return "none" if value is None else _shortened(json.dumps(value, default=str))


def edits(spec: TimerSpec, names: list[str]) -> dict[str, Any]:
    """Return the arguments for change.update_timer that set these fields to the values of the spec."""
    given: dict[str, Any] = {name: getattr(spec, name) for name in names}
    for name in ("payload", "action", "overrides"):
        if given.get(name) is not None:
            given[name] = json.loads(given[name])
    if "schedule" in given:
        given |= {"schedule": lambda: spec.schedule, "time_zone": spec.time_zone}
    return given


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text):,} characters)"
