"""Limits: what a verb may compute while it holds locks; what takes longer is computed between two transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from timers.engine.cpu_budget import CpuBudget
from timers.schedules import Schedule
from timers.schedules.limited import Allowance, Memory, Uncomputed, limited

Result = TypeVar("Result")

MOST_REPEATS: Final = 10
"""How often a verb begins again; each time it asks for less that is not known yet."""
MOST_SCHEDULES: Final = 10_000
"""Of one call: as many timers as it may redefine."""


class Limits:
    """What was computed for one call of a verb, and whether it is limited."""

    def __init__(self) -> None:
        self._memory = Memory(MOST_SCHEDULES)
        self._allowance = Allowance()
        self.are_off = False

    def renew(self) -> None:
        """Allow as much as at first: a transaction begins."""
        self._allowance = Allowance()

    def of(self, schedule: Schedule) -> Schedule:
        """A schedule that raises Uncomputed where its answer would take long."""
        return schedule if self.are_off else limited(schedule, self._memory, self._allowance)


class ManyUncomputed(Uncomputed):
    """The answers of several schedules would take long."""

    def __init__(self, lacking: Iterable[Uncomputed], budget: CpuBudget | None) -> None:
        super().__init__(self._compute)
        self._lacking = list(lacking)
        self._budget = budget

    def _compute(self) -> None:
        for each in self._lacking:
            each.compute()
            if self._budget is not None:
                self._budget.charge()
                if self._budget.is_spent:
                    break


def within_limits(verb: Callable[[Limits], Result]) -> Result:
    """Call what is one transaction; what it lacks and takes long is computed after a rollback, and it is repeated."""
    limits = Limits()
    for _ in range(MOST_REPEATS):
        limits.renew()
        try:
            return verb(limits)
        except Uncomputed as lacking:
            lacking.compute()
    limits.are_off = True
    return verb(limits)
