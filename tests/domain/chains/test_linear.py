"""Orders walk through actions, choices and ends; errors, retries, stops and skips on the way."""

from __future__ import annotations

from typing import Any

import pytest

from tests.domain.chains.engine import END, Engine, action, later
from timers.domain.chains import Finish, events

THREE = {"steps": {"a": action("b"), "b": action("c"), "c": action("z"), "z": END}}


def engine(**steps: Any) -> Engine:
    return Engine(main={"steps": {**steps, "z": END}})


def finish(at: Engine, order_id: int) -> Finish | None:
    moves = at.rows[order_id].moves
    return moves.finish if moves else None


def test_order_walks_through_its_steps_and_succeeds() -> None:
    at = Engine(main=THREE)
    order = at.start()
    places = [at.place(order)]

    for _ in range(3):
        at.run(order)
        places.append(at.place(order))

    assert places == [("a", "ready"), ("b", "ready"), ("c", "ready"), ("z", "ended")]
    assert finish(at, order) == Finish("succeeded")
    assert at.order(order).visits == {"a": 1, "b": 1, "c": 1, "z": 1}


def test_results_that_are_asked_for_become_variables() -> None:
    at = engine(a=action("b", results=["total", "a/b"]), b=action("z", results={"first": "/lines/0/sku", "all": ""}))
    order = at.start(kept=1)

    moves_before = at.run(order, {"total": 5, "a/b": 1, "other": 2})
    assert moves_before.variables == {"kept": 1, "total": 5, "a/b": 1}

    at.run(order, {"lines": [{"sku": "x"}]})
    assert at.order(order).variables == {
        "kept": 1, "total": 5, "a/b": 1, "first": "x", "all": {"lines": [{"sku": "x"}]}
    }  # fmt: skip


def test_only_variables_that_changed_are_in_the_patch() -> None:
    at = engine(a=action("z", results=["x", "y", "flag"]))
    order = at.start(x=1, flag=1)
    at.claim(order)

    moves = at.send(order, events.StepSucceeded({"x": 1, "y": 2, "flag": True}))

    assert moves.set_variables == {"y": 2, "flag": True}


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (None, "results.total: the result is null, not an object. Return an object."),
        ("text", "results.total: the result is text, not an object"),
        (5, "results.total: the result is a number, not an object"),
        (True, "results.total: the result is a flag, not an object"),
        ([1], 'results.total: the result has no value at "/total"'),
        ({"totl": 1}, 'results.total: the result has no value at "/total". Return one, or change "results".'),
        ({"total": "x" * 65_536}, "variables: may be at most 65,536 bytes of JSON"),
        ({"total": object()}, "not JSON"),
    ],
)
def test_result_of_another_form_fails_the_step(result: Any, error: str) -> None:
    at = engine(a=action("z", results=["total"]))
    order = at.start()

    at.run(order, result)

    assert at.place(order) == ("a", "failed")
    assert error in at.order(order).reason
    assert at.order(order).reason.startswith("a failed: ")
    assert at.order(order).variables == {}


def test_failed_step_parks_the_order_there() -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.run(order)

    at.run(order, error="no stock")

    assert at.place(order) == ("b", "failed")
    assert at.order(order).reason == "b failed: no stock"
    moves = at.rows[order].moves
    assert moves is not None
    assert moves.park
    assert moves.finish is None


def test_redrive_goes_on_from_the_failed_step() -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.run(order)
    at.run(order, error="no stock")

    at.send(order, events.Resumed())

    assert at.place(order) == ("b", "ready")
    at.run(order)
    at.run(order)
    assert at.order(order).outcome == "succeeded"
    assert at.order(order).visits == {"b": 1, "c": 1, "z": 1}


def test_redrive_can_go_on_elsewhere_with_other_variables() -> None:
    at = Engine(main=THREE)
    order = at.start(x=1)
    at.run(order, error="bad x")

    moves = at.send(order, events.Resumed(at="c", variables={"x": 2}))

    assert at.place(order) == ("c", "ready")
    assert moves.set_variables == {"x": 2}


CHOICE = {
    "kind": "choice", "default": "small",
    "choices": [
        {"when": {"total": {"at_least": 1000}}, "next": "large"},
        {"when": {"total": {"at_least": 100}, "country": {"in": ["DE", "FR"]}}, "next": "middle"},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "step"),
    [
        ({"total": 1000}, "large"),
        ({"total": 100, "country": "DE"}, "middle"),
        ({"total": 100, "country": "US"}, "small"),
        ({"total": "1000"}, "small"),
        ({}, "small"),
    ],
)
def test_choice_takes_the_first_condition_that_holds(variables: dict[str, Any], step: str) -> None:
    at = engine(choice=CHOICE, large=action("z"), middle=action("z"), small=action("z"))

    assert at.place(at.start(**variables)) == (step, "ready")


def test_end_of_the_outcome_failed_is_final() -> None:
    at = Engine(main={"steps": {"a": {"kind": "end", "outcome": "failed", "reason": "no goods"}}})
    order = at.start()

    assert at.place(order) == ("a", "ended")
    assert finish(at, order) == Finish("failed", "no goods")


def test_delay_makes_the_order_wait_before_its_step() -> None:
    at = engine(a=action("z", delay=30))
    order = at.start()

    assert at.place(order) == ("a", "waiting")
    assert at.order(order).available_at == later(30)
    assert at.pass_time(order).state == "ready"


def test_locks_are_taken_with_the_claim_and_released_after_each_try() -> None:
    at = Engine(main={"locks": {"db": 1}, "steps": {"a": action("z", locks=["db"], retry=[1]), "z": END}})
    order = at.start()
    taken = at.rows[order].moves
    assert taken is not None
    assert taken.take_locks == ("db",)

    at.claim(order)
    assert at.send(order, events.StepFailed("busy")).release_locks == ("db",)
    at.now = later(1)
    assert at.send(order, events.TimeOver()).take_locks == ("db",)
    at.claim(order)
    assert at.send(order, events.StepSucceeded()).release_locks == ("db",)
