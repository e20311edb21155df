"""What people do to an order: suspend, resume, skip, move, reset, cancel."""

from __future__ import annotations

from typing import Any

import pytest

from tests.domain.chains.engine import END, Engine, action
from timers.domain.chains import Finish, Order, events
from timers.exceptions import InvalidRequest, NotAllowedNow

THREE = {"steps": {"a": action("b"), "b": action("c"), "c": action("z"), "z": END}}


def engine(**steps: Any) -> Engine:
    return Engine(main={"steps": {**steps, "z": END}})


def test_suspended_order_stays_until_it_is_resumed() -> None:
    at = Engine(main=THREE)
    order = at.start()

    at.send(order, events.Suspended("look at it"))
    assert at.place(order) == ("a", "suspended")
    assert at.order(order).reason == "look at it"
    at.send(order, events.Resumed())

    assert at.place(order) == ("a", "ready")


def test_suspend_of_a_running_order_applies_before_the_next_step() -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.claim(order)

    at.send(order, events.Suspended())
    assert at.place(order) == ("a", "claimed")
    at.send(order, events.StepSucceeded())

    assert at.place(order) == ("b", "suspended")
    at.send(order, events.Resumed())
    assert at.place(order) == ("b", "ready")


def test_suspend_of_a_running_order_applies_before_its_retry() -> None:
    at = engine(a=action("z", retry=[1]))
    order = at.start()
    at.claim(order)
    at.send(order, events.Suspended())

    at.send(order, events.StepFailed("busy"))

    assert at.place(order) == ("a", "suspended")


def test_suspend_that_has_not_applied_can_be_taken_back() -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.claim(order)
    at.send(order, events.Suspended())

    at.send(order, events.Resumed())
    at.send(order, events.StepSucceeded())

    assert at.place(order) == ("b", "ready")


def test_person_skips_the_step_of_one_order() -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.run(order, error="broken")

    moves = at.send(order, events.Skipped("olga"))

    assert at.place(order) == ("b", "ready")
    assert "skipped a by olga" in moves.notes


def test_person_moves_and_resets_an_order() -> None:
    at = Engine(main=THREE)
    order = at.start(x=1)

    at.send(order, events.Moved("c"))
    assert at.place(order) == ("c", "ready")
    at.send(order, events.Reset())

    assert at.place(order) == ("a", "ready")
    assert at.order(order).visits == {"a": 1}
    assert at.order(order).variables == {"x": 1}


@pytest.mark.parametrize("event", [events.Moved("c"), events.Reset(), events.Skipped()])
def test_person_cannot_move_an_order_while_its_step_runs(event: Any) -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.claim(order)

    with pytest.raises(NotAllowedNow, match="a worker runs a"):
        at.send(order, event)


def test_resume_at_a_step_that_does_not_exist_is_refused() -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.send(order, events.Suspended())

    with pytest.raises(InvalidRequest, match=r'at: "bb" is not a step of this chain\. Did you mean "b"\?'):
        at.send(order, events.Resumed(at="bb"))
    assert at.place(order) == ("a", "suspended")


@pytest.mark.parametrize("variables", [{"x": "y" * 65_536}, {"a.b": 1}, {"x": float("inf")}])
def test_resume_with_variables_that_cannot_be_is_refused(variables: dict[str, Any]) -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.send(order, events.Suspended())

    with pytest.raises(InvalidRequest, match=r"^variables"):
        at.send(order, events.Resumed(variables=variables))


def test_only_suspended_and_failed_orders_are_resumed() -> None:
    at = Engine(main=THREE)
    order = at.start()

    with pytest.raises(NotAllowedNow, match="order: is ready"):
        at.send(order, events.Resumed())


@pytest.mark.parametrize("event", [events.Suspended(), events.Moved("c"), events.Reset(), events.Skipped()])
def test_nothing_is_done_to_an_order_that_has_ended(event: Any) -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.send(order, events.Cancelled())

    with pytest.raises(NotAllowedNow):
        at.send(order, event)


@pytest.mark.parametrize("state", ["pending", "ready", "waiting", "at_stopped", "suspended", "failed", "awaiting"])
def test_order_can_be_cancelled_in_every_state(state: str) -> None:
    at = Engine(main=THREE)
    order = at.start()
    at.rows[order].order = Order(order, "a", state)

    moves = at.send(order, events.Cancelled("not needed"))

    assert at.place(order) == ("a", "ended")
    assert moves.finish == Finish("cancelled", "not needed")
    assert not moves.revoke


def test_cancel_ends_the_claim_of_a_running_order() -> None:
    at = Engine(main={"locks": {"db": 1}, "steps": {"a": action("z", locks=["db"]), "z": END}})
    order = at.start()
    at.claim(order)

    moves = at.send(order, events.Cancelled())

    assert moves.revoke
    assert moves.release_locks == ("db",)
