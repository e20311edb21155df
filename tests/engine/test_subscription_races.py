"""Several sessions at one group's subscriptions: nothing is delivered by older ones, lost, or done twice."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from random import Random

import pytest

from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of
from tests.support.sessions import OtherSession, in_threads
from timers.control.subscriptions import (
    create_subscription,
    delete_subscription,
    pause_subscription,
    resume_subscription,
)
from timers.domain.execution_id import parse
from timers.engine.hand_over import hand_over_left_behind
from timers.exceptions import InvalidRequest, NotAllowedNow, TimerNotFound
from timers.models import Attempt, Claim, Timer, TimerGroup, Waiting
from timers.scheduling import cancel_timer, schedule_fixed_rate, schedule_once
from timers.testing import Stepper, VirtualTime

pytestmark = pytest.mark.usefixtures("committed", "handlers")


@pytest.fixture
def other(time: VirtualTime) -> Stepper:
    return Stepper(time, "node-b")


def subscribe(name: str, mode: str = "broadcast") -> None:
    create_subscription("orders", name, mode=mode, action={"handler": "tests.noop"}, retry={"delays": [0]})


def test_a_fire_takes_nothing_during_a_change_of_the_subscriptions_and_is_then_decided_by_it(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a")
    schedule_once("orders", "t", after=0)
    with OtherSession(node.time.now) as session:
        session.begin()
        session.run(lambda: subscribe("b"))
        assert node.claim() == [], "the change is not committed"
        session.commit()
    node.until_idle()
    assert Counter(fire.subscription for fire in handlers.calls) == {"a": 1, "b": 1}


def test_of_two_workers_that_end_an_occurrence_at_once_one_moves_the_timer_on(
    orders: TimerGroup, node: Stepper, other: Stepper
) -> None:
    subscribe("a")
    subscribe("b")
    timer = schedule_fixed_rate("orders", "t", period=60)
    node.time.advance(60)
    first, second = node.claim()
    node.held = [first]
    node.run()
    with OtherSession(node.time.now) as session:
        session.begin()
        assert len(session.run(node.finish).verdicts) == 1
        node.held, before = [second], node.outcomes
        node.outcomes = []
        node.run()
        assert len(node.finish().deferred) == 1, "the other one has the timer locked"
        assert before == []
        session.commit()
    assert len(node.finish().verdicts) == 1
    assert Timer.objects.get(id=timer.id).open_execution is None
    assert Counter(row.outcome for row in finals_of(timer)) == {"succeeded": 2}


def test_whatever_is_done_to_subscriptions_meanwhile_each_execution_ends_once(
    orders: TimerGroup, handlers: TemporaryHandlers, time: VirtualTime
) -> None:
    """Sessions fire, fail, retry, pause, resume, delete and create at once; what is left can be ended in order."""
    TimerGroup.objects.update(overlap_policy="queue", max_queued=5)
    for name, mode in (("a", "broadcast"), ("b", "broadcast"), ("c", "queue"), ("d", "queue")):
        subscribe(name, mode)
    dice = Random(5)

    def moody(fire: object) -> None:
        if dice.random() < 0.3:
            raise ValueError("moody")

    handlers.add("tests.noop", moody)
    timers = [schedule_fixed_rate("orders", f"{number}", period=1) for number in range(6)]
    nodes = [Stepper(time, f"node-{number}") for number in range(3)]
    for _ in range(4):
        time.advance(1)
        now = time.now

        def act(index: int, now: object = now) -> None:
            own = Random(index)
            VirtualTime().set(now)  # type: ignore[arg-type]
            for _ in range(4):
                if index < 3:
                    nodes[index].step()
                    continue
                name = own.choice("abcd")
                with suppress(TimerNotFound, InvalidRequest, NotAllowedNow):
                    if index == 3:
                        own.choice((pause_subscription, resume_subscription))("orders", name)
                    elif own.random() < 0.5:
                        delete_subscription("orders", name)
                    else:
                        subscribe(name, "queue" if name in "cd" else "broadcast")
                if index == 4:
                    hand_over_left_behind()

        errors = [error for error in in_threads(5, act) if error is not None]
        assert errors == []
    for name in "abcd":
        with suppress(InvalidRequest):
            subscribe(name, "queue" if name in "cd" else "broadcast")
        resume_subscription("orders", name)
    # A step during a change takes nothing, and the clock stood still for the next one: here nothing is changed.
    time.advance(1)
    for node in nodes:
        node.until_idle()
    for timer in timers:
        cancel_timer("orders", timer.name)
    for node in nodes:
        node.until_idle()
    hand_over_left_behind()
    nodes[0].until_idle()
    assert not Claim.objects.exists()
    assert {row.state for row in Waiting.objects.all()} <= {"failed"}
    finals = Attempt.objects.filter(outcome__in=Attempt.FINAL)
    ended = {str(row.id) for row in finals} | {str(row.id) for row in Waiting.objects.all()}
    succeeded = Counter(fire.execution_id for fire in handlers.calls)
    assert len(succeeded) >= 5
    assert set(succeeded) <= ended, "whatever was called has an end"
    assert {parse(execution).timer_id for execution in ended} == {timer.id for timer in timers}
