"""What the handler of a step is told: its step, chain and order, and the subscription that began the order."""

from __future__ import annotations

from typing import Any

import pytest

from tests import factories
from tests.engine.orders.conftest import END, action
from tests.support.handlers import TemporaryHandlers
from tests.support.subscriptions import subscribe
from timers.control.chains.define import create_chain
from timers.handlers import Fire
from timers.models import ChainOrder, TimerGroup
from timers.scheduling import schedule_once
from timers.testing import Stepper


def told(fire: Fire) -> tuple[str, str, str]:
    return fire.chain, fire.step, fire.order


def define(name: str, steps: dict[str, Any], group: str = "work") -> None:
    create_chain(group, name, {"start": next(iter(steps)), "steps": {**steps, "end": END}})


def begin(chain: str = "main") -> str:
    schedule_once("work", "order", after=0, action={"kind": "chain", "chain": chain})
    return "order"


def test_step_is_told_with_its_chain_and_order(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.script("tests.a", OSError("once"), {})
    handlers.add("tests.b")
    define("main", {"a": action("b", "tests.a", retry=[1]), "b": action("end", "tests.b")})
    begin()
    node.until_idle()
    node.advance(5)
    order = str(ChainOrder.objects.get().id)
    assert [told(fire) for fire in handlers.calls] == [
        ("main", "a", order), ("main", "a", order), ("main", "b", order),
    ]  # fmt: skip
    assert {fire.execution_id for fire in handlers.calls} == {order}


def test_branches_are_told_the_whole_order(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.add("tests.l")
    handlers.add("tests.r")
    steps = {
        "fork": {"kind": "fork", "branches": {"left": "l", "right": "r"}, "join": "join"},
        "l": action("join", "tests.l"), "r": action("join", "tests.r"), "join": {"kind": "join", "next": "end"},
    }  # fmt: skip
    define("main", steps)
    begin()
    node.until_idle()
    order = ChainOrder.objects.get(parent=None)
    assert {told(fire) for fire in handlers.calls} == {("main", "l", str(order.id)), ("main", "r", str(order.id))}
    branches = {str(id_) for id_ in ChainOrder.objects.filter(parent=order.id).values_list("id", flat=True)}
    assert {fire.execution_id for fire in handlers.calls} == branches


def test_step_of_a_sub_chain_is_told_that_chain_and_the_whole_order(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.i")
    define("inner", {"i": action("end", "tests.i")})
    define("main", {"sub": {"kind": "chain", "chain": "inner", "next": "end"}})
    begin()
    node.until_idle()
    assert told(handlers.calls[0]) == ("inner", "i", str(ChainOrder.objects.get(parent=None).id))


def test_execution_that_is_no_order_is_told_no_step(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.plain")
    schedule_once("work", "plain", after=0, handler="tests.plain")
    node.until_idle()
    assert told(handlers.calls[0]) == ("", "", "")
    assert not {"Step", "Order", "Chain"} & handlers.calls[0].envelope().keys()


@pytest.mark.parametrize("mode", ["broadcast", "queue"])
def test_all_steps_are_told_the_subscription_that_began_the_order(
    mode: str, node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("orders", action=None)
    for name in ("a", "l"):
        handlers.add(f"tests.{name}")
    steps = {
        "a": action("fork", "tests.a"),
        "fork": {"kind": "fork", "branches": {"left": "l"}, "join": "join"},
        "l": action("join", "tests.l"), "join": {"kind": "join", "next": "end"},
    }  # fmt: skip
    define("main", steps, "orders")
    subscribe("mail", mode, action={"kind": "chain", "chain": "main"})
    schedule_once("orders", "t", after=0)
    node.until_idle()
    assert [(fire.step, fire.subscription) for fire in handlers.calls] == [("a", "mail"), ("l", "mail")]


def test_envelope_of_a_step_has_its_step_chain_and_order(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.a")
    define("main", {"a": action("end", "tests.a")})
    begin()
    node.until_idle()
    envelope = handlers.calls[0].envelope()
    order = str(ChainOrder.objects.get().id)
    assert (envelope["Chain"], envelope["Step"], envelope["Order"]) == ("main", "a", order)
