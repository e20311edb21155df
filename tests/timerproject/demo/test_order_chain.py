"""The demo's chain in virtual time: its orders walk through all steps, and what goes wrong goes the way it should."""

from __future__ import annotations

from decimal import Decimal

import pytest

from timerproject.demo import scenery
from timerproject.demo.order_chain import APPROVED_FROM, CHAIN
from timerproject.demo.order_handlers import orders, warehouse
from timers.chains import add_order, approve_order, refuse_order
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
    """Add that order and run what can be run at once."""
    scenery.make()
    add_order("shop", CHAIN, order, variables={"order": order}, tags=[scenery.TAG])
    node.until_idle()
    return ChainOrder.objects.get(parent=None)


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


def test_timer_adds_the_orders_of_the_file_one_after_the_other(node: Stepper) -> None:
    scenery.make()
    node.play(40, every=10)
    names = list(ChainOrder.objects.filter(parent=None).order_by("created_at").values_list("name", flat=True))
    numbers = [list(orders()).index(name.split()[0]) for name in names]
    assert len(numbers) == 4
    assert [(number - numbers[0]) % len(orders()) for number in numbers] == [0, 1, 2, 3]
    assert set(Timer.objects.filter(group__name="shop", tags__contains=["demo"]).values_list("name", flat=True)) == {
        "next-order", *ChainOrder.objects.filter(parent=None, ended_at=None).values_list("name", flat=True),
    }  # fmt: skip


def test_repeated_try_of_the_timer_adds_no_second_order(node: Stepper) -> None:
    scenery.make()
    node.time.advance(10)
    node.claim()
    node.run()
    (added,) = Timer.objects.filter(group__name="shop", schedule_kind="once")
    survivor = Stepper(node.time, "survivor")
    survivor.rescue(node)  # it died before it wrote that the order was added
    survivor.claim(leave={"shop.fetch"})
    survivor.run()
    survivor.finish()
    timer = Timer.objects.get(name="next-order")
    outcomes = Attempt.objects.filter(timer_id=timer.id).order_by("attempt").values_list("outcome", flat=True)
    assert list(outcomes)[:2] == ["lost", "succeeded"]
    assert [timer.name for timer in Timer.objects.filter(group__name="shop", schedule_kind="once")] == [added.name]


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
