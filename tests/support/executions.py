"""Executions and outcomes made in memory, for the parts of a worker that need no database."""

from __future__ import annotations

from itertools import count
from typing import Any

from timers.actions import Action, parse
from timers.clock import boot_time
from timers.domain.execution_id import execution_id
from timers.domain.policies import Policies
from timers.engine.execution import Execution, ServedGroup
from timers.engine.outcome import Outcome, OutcomeWord
from timers.schedules.instant import to_microseconds
from timers.testing import START
from timers.worker.in_flight import SIZE, Started

START_US = to_microseconds(START)

_numbers = count(1)


def served_group(id_: int = 1, **fields: Any) -> ServedGroup:
    """A group as the engine knows it."""
    values: dict[str, Any] = {
        "id": id_, "name": f"group-{id_}", "version": 1, "priority": 0, "max_batch": 500,
        "policies": Policies(), "action": parse({"handler": "tests.noop"}),
    }  # fmt: skip
    return ServedGroup(**(values | fields))


def execution(handler: str = "tests.noop", *, at_us: int = START_US, **fields: Any) -> Execution:
    """A first try of a one-shot, held under fence 1."""
    number = next(_numbers)
    action: Action = parse({"handler": handler})
    values: dict[str, Any] = {
        "id": execution_id(at_us, number), "timer_id": number, "group": served_group(), "name": f"timer-{number}",
        "scheduled_us": at_us, "available_us": at_us, "attempt": 1, "payload": None, "action": action,
        "policies": Policies(), "time_zone": "UTC", "fence": 1, "claimed_us": at_us,
    }  # fmt: skip
    return Execution(**(values | fields))


def outcome(word: OutcomeWord = "succeeded", **fields: Any) -> Outcome:
    """The end of a try that took a millisecond."""
    of = fields.pop("of", None) or execution()
    return Outcome(of, word, of.available_us, of.available_us + 1000, **fields)


def started(*, sure: bool = True) -> Started:
    """Cells in plain memory, with a lease that is sure for an hour."""
    cells = Started(bytearray(SIZE))
    if sure:
        cells.lease_is_sure_until(boot_time() + 3600)
    return cells
