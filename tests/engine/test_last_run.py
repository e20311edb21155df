"""A one-shot that gets another instant before its last execution has ended obeys its overlap policy."""

from __future__ import annotations

from typing import Any

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import words_of
from tests.support.serial_timers import SERIAL, finish, running
from timers.domain.execution_id import open_as
from timers.models import Timer, Waiting
from timers.scheduling import cancel_timer, schedule_once, update_timer
from timers.testing import Stepper, VirtualTime

RETRY = {"max_retries": 3, "min_backoff": 5, "max_backoff": 5}


@pytest.fixture(autouse=True)
def _noop(handlers: TemporaryHandlers) -> None:
    pass


def once(policy: str, **of_group: Any) -> Timer:
    factories.group("work", overlap_policy=policy, **of_group)
    return schedule_once("work", "t", after=1)


@pytest.mark.parametrize("policy", SERIAL)
def test_it_waits_for_an_execution_that_runs(policy: str, time: VirtualTime, node: Stepper) -> None:
    timer = once(policy)
    first = running(node, 1)
    node.run()
    answer = update_timer("work", "t", after=1)
    assert (answer.in_flight, str(answer.open_execution)) == ([first.id], first.id)
    time.advance(1)
    assert node.claim() == []
    node.finish()
    (second,) = node.claim()
    assert second.id != first.id
    finish(node)
    assert words_of(timer) == ["succeeded", "succeeded"]
    timer.refresh_from_db()
    assert (timer.state, timer.open_execution, timer.fire_count) == ("finished", None, 1)


def test_it_fires_at_its_new_instant_where_the_execution_has_ended_before(time: VirtualTime, node: Stepper) -> None:
    timer = once("skip")
    running(node, 1)
    node.run()
    update_timer("work", "t", after=10)
    node.finish()
    timer.refresh_from_db()
    assert (timer.state, timer.open_execution) == ("active", None)
    time.advance(10)
    assert len(node.claim()) == 1


def test_under_allow_it_waits_for_nothing(time: VirtualTime, node: Stepper) -> None:
    once("allow")
    running(node, 1)
    node.run()
    assert update_timer("work", "t", after=1).open_execution is None
    time.advance(1)
    assert len(node.claim()) == 1


def test_it_waits_for_an_execution_that_waits_for_its_retry(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.noop", lambda fire: 1 / (fire.number_of_try - 1))
    timer = once("skip", retry=RETRY)
    first = running(node, 1)
    finish(node)
    assert str(update_timer("work", "t", after=1).open_execution) == first.id
    time.advance(1)
    assert node.claim() == []
    time.advance(4)
    assert [each.id for each in node.claim()] == [first.id]
    finish(node)
    assert len(node.claim()) == 1
    assert words_of(timer)[-1] == "succeeded"


def test_it_waits_for_no_retry_where_retries_do_not_block(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.noop", lambda fire: 1 / 0)
    once("skip", retry=RETRY, retry_blocks=False)
    running(node, 1)
    finish(node)
    assert update_timer("work", "t", after=1).open_execution is None


def test_it_goes_on_when_the_node_that_runs_the_execution_dies(time: VirtualTime, node: Stepper) -> None:
    timer = once("skip", retry={"max_retries": 0})
    running(node, 1)
    node.run()
    update_timer("work", "t", after=1)
    time.advance(1)
    other = Stepper(time, "other")
    other.claim()
    other.rescue(node)
    assert len(other.claim()) == 1
    timer.refresh_from_db()
    assert timer.open_execution is not None
    other.run()
    other.finish()
    timer.refresh_from_db()
    assert (timer.state, timer.open_execution) == ("finished", None)


def test_it_goes_on_when_a_retry_that_it_waits_for_is_cancelled(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.noop", lambda fire: 1 / 0)
    timer = once("skip", retry=RETRY)
    running(node, 1)
    finish(node)
    update_timer("work", "t", after=1)
    cancel_timer("work", "t")
    timer.refresh_from_db()
    assert (timer.state, timer.open_execution) == ("cancelled", None)
    assert not Waiting.objects.exists()


def test_a_one_shot_that_becomes_recurring_waits_for_its_execution(time: VirtualTime, node: Stepper) -> None:
    timer = once("skip")
    first = running(node, 1)
    node.run()
    update_timer("work", "t", kind="fixed_rate", period=1)
    timer.refresh_from_db()
    assert str(timer.open_execution) == open_as(first.id)
    time.advance(1)
    assert node.claim() == []
    node.finish()
    time.advance(1)
    assert len(node.claim()) == 1
