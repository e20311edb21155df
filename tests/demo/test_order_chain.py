"""The demo's chain in virtual time: its orders walk through all steps, and what goes wrong goes the way it should."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from timers.chains import approve_order, refuse_order
from timers.demo import scenery
from timers.demo.order_chain import APPROVED_FROM, CHAIN
from timers.demo.order_handlers import orders, warehouse
from timers.models import Attempt, Chain, ChainOrder, ChainVersion, Timer
from timers.testing import Stepper, VirtualTime

pytestmark = pytest.mark.django_db

LARGE, WRONG, SMALL = "S-2029", "S-2050", "S-2001"


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Stepper:
    """A node for the demo; the warehouse answers."""
    monkeypatch.setattr(warehouse, "random", lambda: 0.9)
    return Stepper(VirtualTime(), "node-a")


def add(order: str, node: Stepper) -> ChainOrder:
    """Live until the timer has added that order."""
    scenery.make()
    for _ in orders():
        node.advance(10)
        found = ChainOrder.objects.filter(parent=None, name__startswith=order).first()
        if found is not None:
            return found
    raise AssertionError(f"{order} was not added")


def steps_of(order: ChainOrder) -> set[str]:
    return set(Attempt.objects.filter(timer_id=order.timer_id, outcome="advanced").values_list("step", flat=True))


def test_file_has_orders_of_every_kind() -> None:
    sums = {
        name: sum(Decimal(line["price"]) * line["pieces"] for line in order["lines"])
        for name, order in orders().items()
    }
    wrong = [name for name, order in orders().items() if sums[name] != Decimal(str(order["total"]))]
    assert wrong == [WRONG]
    assert 3 <= sum(order["total"] >= APPROVED_FROM for order in orders().values()) < len(orders()) / 2


def test_order_of_the_file_walks_through_both_branches_and_is_confirmed(node: Stepper) -> None:
    order = add(SMALL, node)
    assert (order.state, order.outcome, order.step) == ("ended", "succeeded", "imported")
    assert steps_of(order) == {"fetch", "validate", "write invoice", "reserve stock", "notify"}
    assert order.variables["branches"].keys() == {"invoice", "stock"}


def test_large_order_waits_for_a_person_and_then_goes_on_by_itself(node: Stepper) -> None:
    order = add(LARGE, node)
    assert (order.state, order.step) == ("awaiting", "approve")
    node.advance(60)
    order.refresh_from_db()
    assert (order.outcome, order.step) == ("succeeded", "imported")


@pytest.mark.parametrize(("answer", "outcome"), [(approve_order, "succeeded"), (refuse_order, "failed")])
def test_answer_of_a_person_decides(answer: object, outcome: str, node: Stepper) -> None:
    order = add(LARGE, node)
    answer(str(order.id), actor="alice")  # type: ignore[operator]
    node.until_idle()
    order.refresh_from_db()
    assert order.outcome == outcome


def test_order_with_a_wrong_total_is_rejected(node: Stepper) -> None:
    order = add(WRONG, node)
    assert (order.outcome, order.step) == ("failed", "rejected")
    assert steps_of(order) == {"fetch"}


def test_warehouse_that_does_not_answer_is_asked_again(node: Stepper, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter([0.1, 0.1])
    monkeypatch.setattr(warehouse, "random", lambda: next(draws, 0.9))
    order = add(SMALL, node)
    node.advance(10)
    order.refresh_from_db()
    assert order.outcome == "succeeded"
    assert Attempt.objects.filter(outcome="error", step="reserve stock").count() == 2


def test_repeated_try_of_the_timer_adds_no_second_order(node: Stepper) -> None:
    add(SMALL, node)
    timer = Timer.objects.get(name="next-order")
    number = ChainOrder.objects.filter(parent=None).count()
    assert number == Attempt.objects.filter(timer_id=timer.id, outcome="succeeded").count()
    assert isinstance(timer.last_fire_at, datetime)


def test_ended_orders_leave_no_timers_behind(node: Stepper) -> None:
    add(SMALL, node)
    node.advance(200)
    left = Timer.objects.filter(group__name="shop").exclude(name="next-order")
    assert left.count() <= 6  # large ones that wait for a person, and the order that was just added


def test_making_the_demo_twice_makes_no_version_of_the_chain(node: Stepper) -> None:
    scenery.make()
    scenery.make()
    assert ChainVersion.objects.count() == 1


def test_clearing_takes_the_chain_away(node: Stepper) -> None:
    add(LARGE, node)
    cleared = scenery.clear()
    assert "shop" in cleared.groups
    assert not Chain.objects.filter(name=CHAIN).exists()
    assert not Timer.objects.exists()
