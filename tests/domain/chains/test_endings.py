"""The deadline of a chain and its finally steps."""

from __future__ import annotations

from typing import Any

import pytest

from tests.domain.chains.engine import END, Engine, action, later
from timers.domain.chains import Finish, events

THREE = {"steps": {"a": action("b"), "b": action("c"), "c": action("z"), "z": END}}


def finish(at: Engine, order_id: int) -> Finish | None:
    moves = at.rows[order_id].moves
    return moves.finish if moves else None


def test_deadline_fails_the_order_where_it_is() -> None:
    at = Engine(main={"deadline": 60, **THREE})
    order = at.start()
    assert at.order(order).deadline_at == later(60)
    at.run(order)

    at.send(order, events.DeadlinePassed())

    assert at.place(order) == ("b", "failed")
    assert at.order(order).reason == "the deadline of the chain passed"
    at.now = later(100)
    at.send(order, events.Resumed())
    assert at.order(order).deadline_at == later(160)


def test_deadline_can_suspend_or_go_elsewhere() -> None:
    at = Engine(
        main={"deadline": 60, "on_deadline": "suspend", **THREE},
        other={"deadline": 60, "on_deadline": {"goto": "c"}, **THREE},
    )
    one, other = at.start(), at.start("other")
    at.claim(other)

    at.send(one, events.DeadlinePassed())
    moves = at.send(other, events.DeadlinePassed())

    assert at.place(one) == ("a", "suspended")
    assert at.place(other) == ("c", "ready")
    assert moves.revoke
    at.send(other, events.DeadlinePassed())
    assert at.place(other) == ("c", "ready")


FINALLY = {"finally": "clean", "steps": {"a": action("z"), "clean": action("z2"), "z": END, "z2": END}}


@pytest.mark.parametrize(
    ("event", "outcome", "reason"),
    [
        (events.StepSucceeded(), "succeeded", ""),
        (events.Cancelled("stop"), "cancelled", "stop"),
    ],
)
def test_finally_steps_run_before_the_outcome_applies(event: Any, outcome: str, reason: str) -> None:
    at = Engine(main=FINALLY)
    order = at.start()
    at.claim(order)

    at.send(order, event)
    assert at.place(order) == ("clean", "ready")
    assert at.order(order).in_finally
    at.run(order)

    assert at.order(order).outcome == outcome
    assert finish(at, order) == Finish(outcome, reason)


def test_failed_order_is_parked_at_its_step_after_its_finally_steps() -> None:
    at = Engine(main=FINALLY)
    order = at.start()

    at.run(order, error="broken")
    assert at.place(order) == ("clean", "ready")
    at.run(order)
    assert at.place(order) == ("a", "failed")
    assert at.order(order).reason == "a failed: broken"

    at.send(order, events.Resumed())
    at.run(order)
    assert at.place(order) == ("clean", "ready")
    at.run(order)
    assert at.order(order).outcome == "succeeded"


def test_deadline_runs_the_finally_steps_and_does_not_interrupt_them() -> None:
    at = Engine(main={"deadline": 60, **FINALLY})
    order = at.start()
    at.send(order, events.DeadlinePassed())
    assert at.place(order) == ("clean", "ready")

    at.send(order, events.DeadlinePassed())
    assert at.place(order) == ("clean", "ready")
    at.run(order)

    assert at.place(order) == ("a", "failed")


def test_error_in_the_finally_steps_fails_an_order_that_had_succeeded() -> None:
    at = Engine(main=FINALLY)
    order = at.start()
    at.run(order)

    at.run(order, error="disk full")

    assert finish(at, order) == Finish("failed", "finally: clean failed: disk full")


def test_error_in_the_finally_steps_hides_no_earlier_error() -> None:
    at = Engine(main=FINALLY)
    order = at.start()
    at.run(order, error="first")

    at.run(order, error="second")

    assert at.place(order) == ("a", "failed")
    assert at.order(order).reason == "a failed: first"


def test_second_cancel_ends_the_finally_steps() -> None:
    at = Engine(main=FINALLY)
    order = at.start()
    at.send(order, events.Cancelled("once"))

    at.send(order, events.Cancelled("twice"))

    assert at.order(order).outcome == "cancelled"


def test_failed_order_that_is_cancelled_runs_no_finally_steps_again() -> None:
    at = Engine(main=FINALLY)
    order = at.start()
    at.run(order, error="broken")
    at.run(order)

    at.send(order, events.Cancelled("dismissed"))

    assert finish(at, order) == Finish("cancelled", "dismissed")


def test_finally_steps_may_lead_to_the_end_that_the_order_had_come_to() -> None:
    choice = {"kind": "choice", "choices": [{"when": {"dirty": True}, "next": "clean"}], "default": "z"}
    at = Engine(main={"finally": "c", "steps": {"a": action("z"), "c": choice, "clean": action("z"), "z": END}})
    order = at.start()

    at.run(order)

    assert at.order(order).outcome == "succeeded"
