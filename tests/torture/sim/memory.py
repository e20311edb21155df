"""What a simulated worker has in its memory, and how its attempts end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from timers.engine.execution import Execution, Holder
from timers.engine.outcome import Outcome
from timers.worker.attempts import raised, returned


class Plan(Exception):
    """An attempt that ends with an error, because its payload says so."""


@dataclass(slots=True)
class Running:
    """An attempt that has begun."""

    execution: Execution
    started_us: int
    ends_us: int


@dataclass(slots=True)
class Memory:
    """What is lost with the worker process."""

    holder: Holder
    held: list[Execution] = field(default_factory=list)
    """Claimed and not begun."""
    held_back: list[tuple[int, Execution]] = field(default_factory=list)
    """Recalled by a change, under its token, until that has ended."""
    leaving: list[Execution] = field(default_factory=list)
    """Not known to be given back: they must not begin here any more."""
    running: list[Running] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    """Ended and not recorded."""
    is_unsure: bool = True
    """A claim may be committed whose answer did not come."""

    @property
    def fences(self) -> set[int]:
        """The claims that the worker knows of."""
        executions = [
            *self.held,
            *self.leaving,
            *(each for _, each in self.held_back),
            *(each.execution for each in self.running),
            *(each.execution for each in self.outcomes),
        ]
        return {each.fence for each in executions}


def outcome_of(execution: Execution, started_us: int, now_us: int) -> Outcome:
    """End an attempt as the payload of its timer says, or with an error where it was asked to end."""
    payload: dict[str, Any] = execution.payload or {}
    if execution.cancelled.is_set() or execution.attempt <= payload.get("fails", 0):
        return raised(execution, Plan("as planned"), started_us, now_us)
    return returned(execution, None, started_us, now_us)
