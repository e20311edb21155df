"""Orders of a timer whose orders may overlap: none that is under way is cancelled when the later ones are withdrawn."""

from __future__ import annotations

import pytest

from tests.engine.orders.conftest import END, action
from tests.support.handlers import TemporaryHandlers
from timers.chains import add_order, cancel_order, create_chain, withdraw_order
from timers.exceptions import NotAllowedNow
from timers.handlers import Fail
from timers.models import ChainOrder, Timer, TimerGroup
from timers.scheduling import fire_timer
from timers.testing import Stepper

STEPS = {"steps": {"ask": {"kind": "approval", "next": "end"}, "end": END}}


@pytest.fixture(autouse=True)
def hourly(group: TimerGroup, node: Stepper) -> Timer:
    create_chain("work", "main", STEPS)
    add_order("work", "main", "hourly", period=3600, overrides={"overlap_policy": "allow"})
    return Timer.objects.get()


def refused() -> None:
    with pytest.raises(NotAllowedNow, match="Cancel that order first"):
        withdraw_order("work", "main", "hourly")
    assert Timer.objects.get().state == "active"


def test_orders_that_overlap_are_not_cancelled_by_a_withdrawal(node: Stepper) -> None:
    node.advance(3601)
    node.advance(3600)
    orders = list(ChainOrder.objects.values_list("id", "state"))
    assert [state for _, state in orders] == ["awaiting"] * 2
    refused()
    assert set(ChainOrder.objects.values_list("state", flat=True)) == {"awaiting"}
    for order, _ in orders:
        cancel_order(str(order))
    withdraw_order("work", "main", "hourly")
    assert Timer.objects.get().state == "cancelled"


def test_order_whose_beginning_is_claimed_is_under_way(node: Stepper) -> None:
    node.time.advance(3601)
    assert len(node.claim()) == 1
    refused()


def test_order_that_a_person_started_is_under_way(node: Stepper) -> None:
    fire_timer("work", "hourly")
    refused()
    node.until_idle()
    refused()


def test_timer_whose_orders_have_failed_is_withdrawn(node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.script("tests.bad", Fail("broken for good"))
    create_chain("work", "bad", {"steps": {"a": action("end", "tests.bad"), "end": END}})
    add_order("work", "bad", "nightly", period=3600, overrides={"overlap_policy": "allow"})
    node.advance(3601)
    assert ChainOrder.objects.get(name="nightly").state == "failed"
    withdraw_order("work", "bad", "nightly")
    assert ChainOrder.objects.get(name="nightly").state == "failed"
    assert Timer.objects.get(name="nightly").state == "cancelled"
