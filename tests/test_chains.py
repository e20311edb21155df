"""The public module of job chains: definitions, orders, what people do to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from timers import chains
from timers.chains import add_order, chain, compare_versions, create_chain, for_orders, get_order, start_order
from timers.control.chains.many import for_each_order
from timers.exceptions import InvalidRequest, NotAllowedNow, StaleVersion, TimerExists, TimerNotFound
from timers.insights.one_order import next_order
from timers.models import AuditEntry, ChainOrder, TimerGroup
from timers.testing import Stepper, VirtualTime

pytestmark = pytest.mark.django_db


@pytest.fixture
def handlers() -> Iterator[TemporaryHandlers]:
    registered = TemporaryHandlers()
    for name in "ab":
        registered.add(f"tests.{name}", lambda _, name=name: {"last": name})
    yield registered
    registered.forget()


@pytest.fixture
def group(timers_time: VirtualTime, handlers: TemporaryHandlers) -> TimerGroup:
    return factories.group("sales", misfire_policy="skip")


@pytest.fixture
def node(group: TimerGroup, timers_time: VirtualTime) -> Stepper:
    return Stepper(timers_time)


@pytest.fixture
def two(group: TimerGroup) -> Any:
    """A chain of two steps."""
    return create_chain("sales", "two", chain("two").step("a", action="tests.a").step("b", action="tests.b"))


def order_of(created: Any) -> str:
    found = next_order(created.timer)
    assert found is not None
    return found


def test_order_is_known_by_its_id_before_it_begins_and_after_it_ended(two: Any, node: Stepper) -> None:
    order = order_of(add_order("sales", "two", "first", variables={"file": "x"}))
    before = get_order(order)
    assert (before.order.state, before.order.chain, before.variables) == ("scheduled", "two", {"file": "x"})
    node.until_idle()
    after = get_order(order)
    assert (after.order.state, after.order.outcome, after.order.step) == ("ended", "succeeded", "end")
    assert after.visits == {"a": 1, "b": 1, "end": 1}
    rows = chains.history(order)
    assert [(row.step, row.outcome) for row in rows] == [("a", "advanced"), ("b", "advanced"), ("", "succeeded")]


def test_order_begins_by_the_schedule_that_is_given(two: Any, node: Stepper) -> None:
    every = add_order("sales", "two", "hourly", period=3600)
    assert every.timer is not None
    assert every.timer.schedule_kind == "fixed_rate"
    later = add_order("sales", "two", "later", after=60, tags=["eu"])
    assert later.timer is not None
    assert (later.timer.schedule_kind, later.timer.tags) == ("once", ["eu"])
    node.until_idle()
    assert not ChainOrder.objects.exists()
    node.advance(3601)
    assert ChainOrder.objects.count() == 2


def test_pending_order_begins_when_it_is_started_however_late(two: Any, node: Stepper) -> None:
    created = add_order("sales", "two", "held", pending=True)
    assert created.timer is not None
    assert (created.timer.state, created.timer.state_reason) == ("paused", "pending until it is started")
    node.advance(86_400)
    assert not ChainOrder.objects.exists()
    timer = start_order("sales", "two", "held", actor="ann")
    order = next_order(timer)
    assert order is not None
    node.until_idle()
    assert get_order(order).order.outcome == "succeeded"
    with pytest.raises(NotAllowedNow, match="not pending"):
        start_order("sales", "two", "held")


def test_all_mistakes_of_an_order_are_told_at_once(two: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        add_order("sales", "two", "bad", variables=[1], payload=1, period=-1)  # type: ignore[arg-type]
    assert {each.field for each in refused.value.problems} == {"variables", "payload", "period"}
    with pytest.raises(TimerNotFound, match="no chain"):
        add_order("sales", "three", "x")
    add_order("sales", "two", "x", after=60)
    with pytest.raises(TimerExists):
        add_order("sales", "two", "x")
    assert add_order("sales", "two", "x", on_conflict="keep").result == "kept"


def test_only_orders_of_the_chain_are_started(two: Any) -> None:
    factories.timer("other", in_group=TimerGroup.objects.get(name="sales"), state="paused")
    with pytest.raises(NotAllowedNow, match="not an order"):
        start_order("sales", "two", "other")


def test_versions_are_compared_in_words(two: Any) -> None:
    chains.update_chain("sales", "two", chain("two").step("a", action="tests.a", delay=5), version=1)
    words = [str(each) for each in compare_versions("sales", "two", 1)]
    assert words == ['step "a": next changed from b to end', 'step "a": delay added: 5', 'step "b" removed (action)']
    with pytest.raises(StaleVersion):
        chains.update_chain("sales", "two", chain("two").step("b", action="tests.b"), version=1)
    with pytest.raises(StaleVersion):
        chains.delete_chain("sales", "two", version=1)
    with pytest.raises(TimerNotFound, match="no version 7"):
        compare_versions("sales", "two", 7)


def test_many_orders_are_suspended_and_what_is_refused_is_told(two: Any) -> None:
    orders = [factories.order(two, "a", "at_stopped", ago=number) for number in range(1, 4)]
    parked = factories.order(two, "a", "failed", ago=9)
    before = AuditEntry.objects.count()
    many = for_orders("suspend", {"group": "sales", "chain": "two", "step": "a"}, reason="stock-taking", actor="ann")
    assert many.done == [str(order.pk) for order in orders]
    assert [(each.order, each.message) for each in many.refused] == [
        (str(parked.pk), "order: is failed and cannot be suspended.")
    ]
    assert many.next is None
    assert {each.order.reason for each in map(get_order, many.done)} == {"stock-taking"}
    assert AuditEntry.objects.count() == before + 3
    first = for_orders("cancel", {"chain": "two", "state": "suspended"}, limit=2)
    rest = for_orders("cancel", {"chain": "two", "state": "suspended"}, limit=2, before=first.next)
    assert (first.done, first.next, rest.done, rest.next) == (many.done[:2], many.done[1], many.done[2:], None)


def test_many_orders_go_on_in_another_call_when_the_time_is_over(two: Any) -> None:
    orders = [str(factories.order(two, "a", "at_stopped", ago=number).pk) for number in range(1, 4)]
    first = for_each_order("suspend", orders, seconds=0)
    assert (first.done, first.next) == (orders[:1], orders[0])
    assert for_orders("suspend", {"chain": "two"}, before=first.next).done == orders[1:]
    with pytest.raises(InvalidRequest, match="before"):
        for_orders("suspend", {"chain": "two"}, before="x")


@pytest.mark.parametrize(
    ("verb", "conditions", "arguments", "field"),
    [
        ("suspnd", {"chain": "two"}, {}, "verb"),
        ("suspend", {}, {}, "filter"),
        ("suspend", {"chain": "two", "colour": "red"}, {}, "filter.colour"),
        ("suspend", {"chain": "two", "state": "claimed"}, {}, "filter.state"),
        ("suspend", {"chain": 5}, {}, "filter.chain"),
        ("suspend", {"chain": "two"}, {"to": "b"}, "to"),
        ("move", {"chain": "two"}, {}, "to"),
    ],
)
def test_many_refuses_what_is_wrong_by_its_field(
    verb: str, conditions: dict[str, Any], arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        for_orders(verb, conditions, **arguments)
    assert field in {each.field for each in refused.value.problems}


def test_order_that_does_not_exist_is_not_found(two: Any) -> None:
    timer = factories.timer("plain", in_group=TimerGroup.objects.get(name="sales"))
    for order in ("x", "0190a0b0-0000-8000-8000-000000000000", next_order(timer)):
        with pytest.raises(TimerNotFound):
            get_order(str(order))
