"""Orders that have not begun are withdrawn and changed by name; what has begun is refused with the remedy."""

from __future__ import annotations

import pytest

from tests import factories
from timers.chains import add_order, cancel_order, change_order, create_chain, find_upcoming_orders, withdraw_order
from timers.exceptions import InvalidRequest, NotAllowedNow, TimerNotFound
from timers.insights.one_order import next_order
from timers.models import AuditEntry, Timer

pytestmark = pytest.mark.django_db

ENDS = {"steps": {"ask": {"kind": "approval", "next": "end"}, "end": {"kind": "end"}}}


@pytest.fixture(autouse=True)
def chain() -> None:
    factories.group("sales")
    create_chain("sales", "main", ENDS)


def test_withdrawn_order_never_begins_and_says_why() -> None:
    add_order("sales", "main", "held", pending=True)
    withdraw_order("sales", "main", "held", reason="not wanted", actor="ann")
    timer = Timer.objects.get()
    assert (timer.state, timer.state_reason, timer.next_fire_at) == ("cancelled", "not wanted", None)
    assert find_upcoming_orders("sales", "main").orders == []
    assert AuditEntry.objects.filter(verb="timer.cancel", actor="ann").exists()


def test_variables_of_an_order_are_set_and_the_others_stay() -> None:
    add_order("sales", "main", "later", variables={"file": "a", "n": 1}, after=60)
    change_order("sales", "main", "later", variables={"n": 2})
    assert Timer.objects.get().payload == {"file": "a", "n": 2}
    with pytest.raises(InvalidRequest, match="variables"):
        change_order("sales", "main", "later", variables={"text": "x" * 70_000})


def test_order_that_has_begun_is_neither_withdrawn_nor_changed() -> None:
    add_order("sales", "main", "gone", after=0)
    Timer.objects.update(state="finished", next_fire_at=None)
    for verb, arguments in ((withdraw_order, {}), (change_order, {"variables": {}})):
        with pytest.raises(NotAllowedNow, match="Use the verbs of orders that have begun"):
            verb("sales", "main", "gone", **arguments)


def test_schedule_of_orders_is_not_withdrawn_while_one_is_under_way() -> None:
    add_order("sales", "main", "nightly", period=3_600)
    timer = Timer.objects.get()
    Timer.objects.update(open_execution=next_order(timer))
    with pytest.raises(NotAllowedNow, match="Cancel that order first"):
        withdraw_order("sales", "main", "nightly")


def test_timer_of_another_chain_is_no_order_of_this_one() -> None:
    create_chain("sales", "other", ENDS)
    add_order("sales", "other", "theirs", after=60)
    with pytest.raises(NotAllowedNow, match="not an order of chain 'main'"):
        withdraw_order("sales", "main", "theirs")
    with pytest.raises(TimerNotFound):
        change_order("sales", "main", "none", variables={})


def test_verb_of_orders_says_where_an_order_that_has_not_begun_is_changed() -> None:
    add_order("sales", "main", "later", after=60)
    order = next_order(Timer.objects.get())
    assert order is not None
    with pytest.raises(NotAllowedNow, match="Start, change or withdraw it by its name"):
        cancel_order(order)
