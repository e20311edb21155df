"""What is told of an order as of any execution: where it is, also while it rests, and its variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from tests.engine.orders.conftest import END, action
from tests.engine.orders.test_holds import add_orders
from tests.support.handlers import TemporaryHandlers
from timers.control.chains.define import create_chain
from timers.control.chains.orders import suspend_order
from timers.insights.execution_list import find
from timers.insights.last_outcomes import tell_last_outcomes
from timers.insights.one_execution import one
from timers.models import Attempt, Timer, TimerGroup
from timers.testing import Stepper, VirtualTime

Begin = Callable[..., str]


def test_resting_order_is_found_with_its_state_and_variables(begin: Begin, node: Stepper) -> None:
    rests: dict[str, Any] = {"a": action("paid"), "paid": {"kind": "signal", "next": "end"}}
    order = UUID(begin(rests, {"x": 1}))
    found = one(order)
    assert found is not None
    assert (found.execution.state, found.payload) == ("ready", {"x": 1})
    node.until_idle()
    found = one(order)
    assert found is not None
    assert (found.execution.state, found.payload, found.payload_of) == ("awaiting", {"x": 1}, "execution")
    assert [view.state for view in find().executions] == ["awaiting"]
    suspend_order(str(order), reason="wait")
    found = one(order)
    assert found is not None
    assert (found.execution.state, found.execution.reason) == ("suspended", "wait")


def test_blocked_orders_are_listed(group: TimerGroup, time: VirtualTime, node: Stepper) -> None:
    create_chain("work", "main", {"start": "a", "steps": {"a": action("end", max_orders=1), "end": END}})
    add_orders(2)
    node.step()
    node.claim()
    Stepper(time, "other").claim()
    assert [view.state for view in find("blocked").executions] == ["blocked"]
    assert len(find("claimed").executions) == 1


def test_last_outcome_of_a_timer_is_that_of_the_whole_order(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.l", {})
    order = begin(
        {
            "fork": {"kind": "fork", "branches": {"left": "l", "right": "r"}, "join": "join"},
            "l": action("join", "tests.l"),
            "r": {"kind": "signal", "next": "join"},
            "join": {"kind": "join", "mode": "any", "next": "end"},
        }
    )
    node.until_idle()
    assert Attempt.objects.get(id=order).outcome == "succeeded"
    timer = Timer.objects.get()
    tell_last_outcomes([timer])
    assert timer.last_outcome == "succeeded"
