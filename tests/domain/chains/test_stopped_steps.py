"""Stopped and skipped steps, and the bound of visits; events that come late or twice."""

from __future__ import annotations

from typing import Any

import pytest

from tests.domain.chains.engine import END, Engine, action
from timers.domain.chains import Order, StepStates, events

THREE = {"steps": {"a": action("b"), "b": action("c"), "c": action("z"), "z": END}}


def engine(**steps: Any) -> Engine:
    return Engine(main={"steps": {**steps, "z": END}})


def test_order_waits_before_a_stopped_step_until_it_is_activated() -> None:
    at = Engine(main=THREE)
    at.states = StepStates(stopped=frozenset({"b"}))
    order = at.start()

    at.run(order)
    assert at.place(order) == ("b", "at_stopped")

    at.states = StepStates()
    at.send(order, events.StatesChanged())
    assert at.place(order) == ("b", "ready")
    assert at.order(order).visits["b"] == 1


def test_stop_takes_back_an_order_that_is_ready() -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.states = StepStates(stopped=frozenset({"a"}))

    at.send(order, events.StatesChanged())

    assert at.place(order) == ("a", "at_stopped")


def test_stop_lets_a_claimed_step_end() -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.claim(order)
    at.states = StepStates(stopped=frozenset({"a"}))

    at.send(order, events.StatesChanged())
    assert at.place(order) == ("a", "claimed")
    at.send(order, events.StepSucceeded())
    assert at.place(order) == ("b", "ready")


def test_retry_comes_to_a_step_that_was_stopped_meanwhile() -> None:
    at = engine(a=action("z", retry=[5, 5]))
    order = at.start()
    at.run(order, error="busy")
    at.states = StepStates(stopped=frozenset({"a"}))

    at.pass_time(order)
    assert at.place(order) == ("a", "at_stopped")
    at.states = StepStates()
    at.send(order, events.StatesChanged())

    assert at.place(order) == ("a", "ready")
    assert at.order(order).setbacks == 1


def test_stopped_chain_stops_its_orders_before_every_step() -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.claim(order)
    at.states = StepStates(is_chain_stopped=True)

    at.send(order, events.StepSucceeded())

    assert at.place(order) == ("b", "at_stopped")


def test_stopped_chain_lets_orders_end_that_have_no_step_left() -> None:
    at = engine(a=action("z"))
    order = at.start()
    at.claim(order)
    at.states = StepStates(is_chain_stopped=True)

    at.send(order, events.StepSucceeded())

    assert at.order(order).outcome == "succeeded"


def test_skipped_steps_are_passed_at_once() -> None:
    at = Engine(main=THREE)
    at.states = StepStates(skipped=frozenset({"b", "c"}))
    order = at.start()

    moves = at.send(at.claim(order).id, events.StepSucceeded())

    assert at.place(order) == ("z", "ended")
    assert moves.notes == ("skipped b", "skipped c", "succeeded")


@pytest.mark.parametrize("state", ["ready", "waiting", "at_stopped", "at_limit", "locked"])
def test_skip_lets_orders_pass_that_wait_at_the_step(state: str) -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.rows[order].order = Order(order, "a", state)
    at.states = StepStates(skipped=frozenset({"a"}))

    at.send(order, events.StatesChanged())

    assert at.place(order) == ("b", "ready")


def test_order_that_would_skip_round_for_ever_is_suspended() -> None:
    again = {"kind": "choice", "choices": [{"when": {"done": True}, "next": "z"}], "default": "a"}
    at = engine(a=action("again"), again=again)
    at.states = StepStates(skipped=frozenset({"a"}))

    order = at.start()

    assert at.place(order) == ("a", "suspended")
    assert at.order(order).reason == "it came to a again without having run any step"


def test_more_visits_than_allowed_suspend_the_order() -> None:
    again = {"kind": "choice", "choices": [{"when": {"done": True}, "next": "z"}], "default": "a"}
    at = engine(a=action("again", max_visits=3), again=again)
    order = at.start()

    for _ in range(3):
        at.run(order)

    assert at.place(order) == ("a", "suspended")
    assert at.order(order).reason == "max_visits: it came to a for the 4. time; 3 are allowed"
    at.send(order, events.Resumed(variables={"done": True}))
    assert at.place(order) == ("a", "ready")
    assert at.order(order).visits == {"a": 1}
    assert at.run(order).outcome == "succeeded"


def test_event_of_an_earlier_turn_changes_nothing() -> None:
    at = Engine(main=THREE)
    order = at.start()
    turn = at.claim(order).turn
    at.send(order, events.StepSucceeded(turn=turn))
    at.claim(order)

    moves = at.send(order, events.StepSucceeded(turn=turn))

    assert moves.order.turn == turn + 1
    assert at.place(order) == ("b", "claimed")


@pytest.mark.parametrize("event", [events.StepSucceeded(), events.StepFailed("x"), events.Started(), events.TimeOver()])
def test_event_that_does_not_fit_the_state_changes_nothing(event: Any) -> None:
    at = Engine(main=THREE)
    order = at.start()
    before = at.order(order)

    moves = at.send(order, event)

    assert moves.order == before
    assert not moves.set_variables
    assert moves.finish is None
