"""Timers whose handler nobody here knows wait for a node that does, which fires them late by their misfire policy."""

from __future__ import annotations

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from timers.engine.due import DueWork
from timers.engine.execution import served
from timers.engine.load import count_due
from timers.engine.unserved import Unserved
from timers.models import Attempt, Timer, TimerGroup, Waiting
from timers.schedules.instant import to_microseconds
from timers.scheduling import schedule_fixed_rate, schedule_once
from timers.testing import Stepper, VirtualTime

COMING = {"handler": "tests.coming"}


def test_timer_of_a_group_whose_handler_nobody_knows_waits(group: TimerGroup, node: Stepper) -> None:
    factories.timer(in_group=factories.group("coming", action=COMING), due_in=-1)
    assert node.claim() == []
    assert not Attempt.objects.exists()
    assert Timer.objects.get(group__name="coming").fire_count == 0


def test_timer_whose_own_handler_nobody_knows_waits_and_others_run(group: TimerGroup, node: Stepper) -> None:
    factories.timer("own", in_group=group, due_in=-1)
    factories.timer("coming", in_group=group, due_in=-1, action=COMING)
    assert [execution.name for execution in node.claim()] == ["own"]
    assert node.claim() == []
    assert Timer.objects.get(name="coming").fire_count == 0


def test_own_handler_runs_in_a_group_whose_handler_nobody_knows(group: TimerGroup, node: Stepper) -> None:
    coming = factories.group("coming", action=COMING)
    factories.timer("waits", in_group=coming, due_in=-1)
    factories.timer("runs", in_group=coming, due_in=-1, action={"handler": "tests.noop"})
    assert [execution.name for execution in node.claim()] == ["runs"]


def test_unreadable_action_does_not_wait_and_fails_alone(group: TimerGroup, node: Stepper) -> None:
    factories.timer("poison", in_group=group, due_in=-1, action={"kind": "nonsense"})
    (execution,) = node.claim()
    assert execution.poison


@pytest.mark.parametrize("of", ["group", "timer"])
def test_ready_execution_waits_for_its_handler(
    of: str, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    where = factories.group("coming", action=COMING) if of == "group" else group
    timer = factories.timer("coming", in_group=where, due_in=3600, action=None if of == "group" else COMING)
    factories.waiting(timer, "ready", ago=1)
    assert node.claim() == []
    assert Waiting.objects.get().state == "ready"
    handlers.add("tests.coming")
    assert [execution.name for execution in node.claim()] == ["coming"]


def test_timer_that_waited_fires_when_a_node_knows_its_handler(
    time: VirtualTime, group: TimerGroup, handlers: TemporaryHandlers
) -> None:
    factories.timer("coming", in_group=group, due_in=5, action=COMING)
    old = Stepper(time)
    time.advance(600)
    assert old.claim() == []
    handlers.add("tests.coming")
    assert [execution.name for execution in Stepper(time).claim()] == ["coming"]


@pytest.mark.parametrize(("policy", "runs", "skips"), [("fire_once", 1, 0), ("fire_all", 6, 0), ("skip", 0, 1)])
def test_instants_that_passed_without_a_node_follow_the_misfire_policy(
    policy: str, runs: int, skips: int, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.coming")
    factories.group("coming", action=COMING, misfire_policy=policy, overlap_policy="allow")
    schedule_fixed_rate("coming", "rate", period=10)
    old = Stepper(time)
    for _ in range(65):
        time.advance(1)
        assert old.claim(leave=["tests.coming"]) == []
    new = Stepper(time)
    assert len(new.claim()) == runs
    assert bool(new.skipped) == bool(skips)


def test_left_work_is_not_counted_as_due(time: VirtualTime, group: TimerGroup) -> None:
    for number in range(3):
        factories.timer(f"own {number}", in_group=group, due_in=-1)
    for number in range(40):
        factories.timer(f"coming {number}", in_group=group, due_in=-1, action=COMING)
        factories.waiting(factories.timer(f"later {number}", in_group=group, due_in=99, action=COMING), "ready", ago=1)
    (known,) = served([group])
    item = DueWork(known, 0, 0, timers=True, waiting=True)
    now_us = to_microseconds(time.now)
    (counted,) = count_due([item], now_us, now_us, 0, 100, left=["tests.coming"])
    assert (counted.count, counted.is_counted) == (3, True)
    (capped,) = count_due([item], now_us, now_us, 0, 2, left=["tests.coming"])
    assert capped.count == 2


def test_no_query_excludes_anything_while_every_handler_is_known(group: TimerGroup) -> None:
    schedule_once("work", "own", after=1)
    unserved = Unserved()
    (known,) = served([group])
    assert unserved.known_with(known) == frozenset()


def test_handler_that_is_registered_by_now_is_no_longer_left() -> None:
    known: set[str] = set()
    unserved = Unserved(["a"], known.__contains__)
    unserved.renew(["b"])
    assert unserved.names == {"a", "b"}
    known.add("a")
    unserved.renew([])
    assert unserved.names == {"b"}
