"""The CPU budget of a group: costly rules delay their own group, and nothing is parsed long while rows are locked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from timers.engine import ledger
from timers.engine.cpu_budget import CpuBudget
from timers.engine.execution import ServedGroup, served
from timers.engine.fire import fire_due
from timers.engine.fired import Fired
from timers.models import Timer, TimerGroup
from timers.schedules import registry
from timers.schedules.instant import to_microseconds
from timers.scheduling import create_calendar, schedule_fixed_rate, schedule_once, update_group
from timers.testing import Stepper


class Cpu:
    """A CPU clock that advances by `step` seconds each time it is read."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture(autouse=True)
def _nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_remembered", {})


def make_due(node: Stepper, number: int) -> ServedGroup:
    """So many timers of different rates, all due now."""
    for n in range(number):
        schedule_fixed_rate("work", f"rate-{n}", period=60 + n)
    node.time.advance(60 + number)
    registry._remembered.clear()
    return served(TimerGroup.objects.filter(name="work"))[0]


def fire(node: Stepper, group: ServedGroup, budget: CpuBudget | None) -> Fired:
    now_us = to_microseconds(node.time.now)
    return fire_due(node.holder, group, 0, now_us=now_us, horizon_us=now_us, limit=100, budget=budget)


def test_budget_that_is_spent_leaves_the_remaining_timers_due(group: TimerGroup, node: Stepper) -> None:
    work = make_due(node, 10)
    fired = fire(node, work, CpuBudget(0.75, parse_seconds=9, cpu=Cpu(0.1)))
    assert (fired.rows, fired.more) == (4, True)
    due = Timer.objects.filter(next_fire_at__lte=node.time.now)
    assert due.count() == 6
    assert fire(node, work, CpuBudget(9, parse_seconds=9, cpu=Cpu(0.1))).rows == 6


def test_transaction_ends_when_its_part_of_the_budget_is_spent(group: TimerGroup, node: Stepper) -> None:
    work, budget = make_due(node, 10), CpuBudget(9, parse_seconds=9, locked_seconds=0.35, cpu=Cpu(0.1))
    assert (fire(node, work, budget).rows, fire(node, work, budget).rows) == (2, 2)  # to parse each costs as much
    assert not budget.is_spent


def test_spent_budget_does_not_touch_one_shots(group: TimerGroup, node: Stepper) -> None:
    for n in range(5):
        schedule_once("work", f"once-{n}", after=1)
    node.time.advance(2)
    (work,) = served(TimerGroup.objects.filter(name="work"))
    assert fire(node, work, CpuBudget(0, cpu=Cpu(1))).rows == 5


def test_new_schedules_beyond_the_parse_budget_are_parsed_after_the_commit(
    group: TimerGroup, node: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = make_due(node, 10)
    written: list[int] = []
    monkeypatch.setattr(ledger, "write_skips", lambda skips, now_us: written.append(len(registry._remembered)))
    fired = fire(node, work, CpuBudget(100, parse_seconds=0.15, cpu=Cpu(0.1)))
    assert written == [2]  # while the rows were locked
    assert len(registry._remembered) == 10
    assert (fired.rows, fired.computed, fired.more) == (2, 8, True)
    assert fire(node, work, CpuBudget(100, parse_seconds=0, cpu=Cpu(0.1))).rows == 8


def test_new_schedules_with_calendars_are_never_parsed_while_rows_are_locked(group: TimerGroup, node: Stepper) -> None:
    create_calendar("weekend", rules=[{"weekdays": ["sat", "sun"]}])
    update_group("work", exclusion_calendars=["weekend"])
    work = make_due(node, 2)
    assert fire(node, work, CpuBudget(100, parse_seconds=9, cpu=Cpu(0.1))).rows == 0
    assert fire(node, work, CpuBudget(100, parse_seconds=9, cpu=Cpu(0.1))).rows == 2


def test_low_mark_stays_below_timers_that_were_left_to_be_parsed(group: TimerGroup, node: Stepper) -> None:
    work = make_due(node, 6)
    first = fire(node, work, CpuBudget(100, parse_seconds=0.15, cpu=Cpu(0.1)))
    left = Timer.objects.filter(next_fire_at__lte=node.time.now).order_by("next_fire_at").first()
    assert left is not None
    assert left.next_fire_at is not None
    assert first.last_us == to_microseconds(left.next_fire_at)


def test_schedule_that_cannot_be_parsed_is_parked_and_not_parsed_again(group: TimerGroup, node: Stepper) -> None:
    work = make_due(node, 1)
    Timer.objects.update(schedule={"period": "nonsense", "anchor": 1})
    fire(node, work, CpuBudget(100, parse_seconds=0, cpu=Cpu(0.1)))
    fired = fire(node, work, CpuBudget(100, parse_seconds=0, cpu=Cpu(0.1)))
    assert [execution.poison != "" for execution in fired.executions] == [True]
    assert Timer.objects.get().state == "paused"


def test_without_a_budget_all_timers_are_decided(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    assert fire(node, make_due(node, 10), None).rows == 10


def test_each_pass_gets_on_whatever_the_rules_cost(group: TimerGroup, node: Stepper) -> None:
    work = make_due(node, 5)
    passes = 0
    while Timer.objects.filter(next_fire_at__lte=node.time.now - timedelta(seconds=0)).exists():
        fire(node, work, CpuBudget(0.05, parse_seconds=0, cpu=Cpu(1)))
        passes += 1
        assert passes <= 20
    assert passes == 10  # one to parse and one to fire, for each of them


def test_groups_are_served_beside_one_that_spends_its_budget(group: TimerGroup, node: Stepper) -> None:
    factories.group("canary")
    schedule_fixed_rate("canary", "canary", period=60)
    work = make_due(node, 5)
    fire(node, work, CpuBudget(0.05, parse_seconds=0, cpu=Cpu(1)))
    (canary,) = served(TimerGroup.objects.filter(name="canary"))
    assert fire(node, canary, CpuBudget()).rows == 1
