"""Limit what an operation computes while it holds locks; longer computations run between two transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from timers.engine.cpu_budget import CpuBudget
from timers.schedules import Schedule
from timers.schedules.limited import Allowance, Memory, Uncomputed, limited

Result = TypeVar("Result")

MOST_REPEATS: Final = 10
"""Maximum number of repetitions; each time fewer results are missing."""
MOST_SCHEDULES: Final = 10_000
"""Maximum number of schedules of one call: as many timers as it may redefine."""


class Limits:
    """Results computed for one call of an operation, and whether its computing time is limited."""

    def __init__(self) -> None:
        self._memory = Memory(MOST_SCHEDULES)
        self._allowance = Allowance()
        self.are_off = False

    def renew(self) -> None:
        """Reset the allowance, as a new transaction begins."""
        self._allowance = Allowance()

    def of(self, schedule: Schedule) -> Schedule:
        """Return a schedule that raises Uncomputed if computing its result would take long."""
        return schedule if self.are_off else limited(schedule, self._memory, self._allowance)


class ManyUncomputed(Uncomputed):
    """Computing the results of several schedules would take long."""

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
    """Call `verb`, which is one transaction. Compute what would take long after a rollback, and repeat the call."""
    limits = Limits()
    for _ in range(MOST_REPEATS):
        limits.renew()
        try:
            return verb(limits)
        except Uncomputed as lacking:
            lacking.compute()
    limits.are_off = True
    return verb(limits)
