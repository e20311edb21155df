"""Orders that have not begun: listed by chain, with their state and instant."""

from __future__ import annotations

import pytest

from tests import factories
from timers.chains import add_order, create_chain, find_upcoming_orders, start_order
from timers.exceptions import TimerNotFound
from timers.insights import upcoming_orders
from timers.scheduling import schedule_once, update_group

pytestmark = pytest.mark.django_db

ENDS = {"steps": {"ask": {"kind": "approval", "next": "end"}, "end": {"kind": "end"}}}


@pytest.fixture(autouse=True)
def chains() -> None:
    factories.group("sales")
    for name in ("main", "other"):
        create_chain("sales", name, ENDS)


def names(**asked: object) -> list[str]:
    return [each.name for each in find_upcoming_orders("sales", "main", **asked).orders]  # type: ignore[arg-type]


def test_pending_and_scheduled_orders_are_listed_by_name_with_their_instants() -> None:
    add_order("sales", "main", "nightly", expression="0 2 * * *")
    add_order("sales", "main", "later", after=3_600)
    add_order("sales", "main", "held", at="2050-01-04T08:00:00Z", pending=True)
    add_order("sales", "other", "elsewhere", after=60)
    factories.timer(in_group=factories.group("more"), name="no-order")
    held, later, nightly = find_upcoming_orders("sales", "main").orders
    assert [(each.name, each.state, each.repeats) for each in (held, later, nightly)] == [
        ("held", "pending", False), ("later", "scheduled", False), ("nightly", "scheduled", True),
    ]  # fmt: skip
    assert (held.id, held.begins_at.year, held.reason) == (None, 2050, "pending until it is started")
    assert later.id is not None


def test_states_are_told_apart() -> None:
    add_order("sales", "main", "held", at="2050-01-04T08:00:00Z", pending=True)
    add_order("sales", "main", "later", after=60)
    assert (names(state="pending"), names(state="scheduled")) == (["held"], ["later"])
    start_order("sales", "main", "held")
    assert (names(state="pending"), names(state="scheduled")) == ([], ["held", "later"])


def test_pages_follow_each_other_and_look_at_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        add_order("sales", "main" if number % 2 else "other", f"o{number}", after=60)
    first = find_upcoming_orders("sales", "main", limit=1)
    assert [each.name for each in first.orders] == ["o1"]
    rest = find_upcoming_orders("sales", "main", after=first.next)
    assert ([each.name for each in rest.orders], rest.next) == (["o3"], None)
    monkeypatch.setattr(upcoming_orders, "LOOKED_AT", 2)
    found, place = [], None
    while True:
        page = find_upcoming_orders("sales", "main", after=place)
        found += [each.name for each in page.orders]
        place = page.next
        if place is None:
            break
    assert found == ["o1", "o3"]


def test_timer_that_takes_the_chain_of_its_group_is_an_order() -> None:
    schedule_once("sales", "theirs", after=60, action={"kind": "chain", "chain": "other"})
    update_group("sales", action={"kind": "chain", "chain": "main"})
    schedule_once("sales", "plain", after=60)
    assert names() == ["plain"]


def test_chain_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(TimerNotFound):
        find_upcoming_orders("sales", "none")
