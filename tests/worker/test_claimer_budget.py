"""The claimer's CPU budget for each group in a pass."""

from __future__ import annotations

from itertools import count

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.worker.claiming import Bench
from timers.engine.cpu_budget import CpuBudget
from timers.scheduling import schedule_fixed_rate
from timers.testing import Stepper
from timers.worker import claimer as claimer_module


def test_group_that_spent_its_budget_is_left_and_those_after_it_are_served(
    node: Stepper, handlers: TemporaryHandlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("costly", "canary"):
        factories.group(name, timer_priorities=[0, 1])
    for priority in (0, 1):
        schedule_fixed_rate("costly", f"rate-{priority}", period=60, priority=priority)
    schedule_fixed_rate("canary", "canary", period=60)
    node.time.advance(60)
    budgets: list[CpuBudget] = []

    def spent_after_one() -> CpuBudget:
        budgets.append(CpuBudget(1.5, parse_seconds=9, cpu=count(step=1).__next__))
        return budgets[-1]

    monkeypatch.setattr(claimer_module, "budget_of_group", spent_after_one)
    bench = Bench(node)
    assert bench.step() == {"costly": 1, "canary": 1}
    assert len(budgets) == 2  # one for each group, whatever its priorities and shards
    assert bench.step() == {"costly": 1}
