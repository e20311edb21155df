"""Priorities of orders: higher ones are claimed first, and get free places first."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.engine.orders.conftest import END, action
from tests.support.handlers import TemporaryHandlers
from tests.support.sessions import OtherSession
from timers.control.chains.add import add_order
from timers.control.chains.define import create_chain, update_chain
from timers.control.chains.many import for_each_order
from timers.control.chains.orders import cancel_order, prioritize_order
from timers.exceptions import InvalidRequest, NotAllowedNow, TimerNotFound
from timers.models import AuditEntry, ChainOrder, OrderHold, TimerGroup, Waiting
from timers.scheduling import schedule_once, update_timer
from timers.testing import Stepper, VirtualTime

Begin = Callable[..., str]
ONE: dict[str, Any] = {"a": action("end")}


def define(steps: dict[str, Any] | None = None, name: str = "main", **fields: Any) -> None:
    steps = ONE if steps is None else steps
    create_chain("work", name, {"start": next(iter(steps)), "steps": {**steps, "end": END}, **fields})


def add(*names: str, chain: str = "main", **fields: Any) -> None:
    for name in names:
        add_order("work", chain, name, **fields)


def start_all(node: Stepper) -> None:
    """Begins the orders; their first steps wait."""
    node.claim(limit=100)
    node.run()
    node.finish()


def order(name: str) -> str:
    return str(ChainOrder.objects.get(name=name, parent=None).id)


def claimed(node: Stepper, limit: int = 1) -> list[str]:
    names = [execution.name for execution in node.claim(limit=limit)]
    node.run()
    node.finish()
    return names


def test_orders_are_claimed_by_their_priorities_and_then_by_age(
    group: TimerGroup, time: VirtualTime, node: Stepper
) -> None:
    define()
    for name in ("first", "low", "second", "high", "lowest", "highest"):
        add(name)
        start_all(node) if name == "first" else time.advance(1)
    node.claim(limit=100)
    node.run()
    node.finish()
    for name, priority in {"low": -1, "high": 1, "lowest": -9, "highest": 9}.items():
        prioritize_order(order(name), priority)
    names = [claimed(node)[0] for _ in range(Waiting.objects.count())]
    assert [name for name in names if name not in ("first", "second")] == ["highest", "high", "low", "lowest"]
    assert names.index("high") < names.index("second") < names.index("low")


def test_one_claim_takes_orders_of_all_priorities(group: TimerGroup, node: Stepper) -> None:
    define()
    add("plain", "low", "high")
    start_all(node)
    prioritize_order(order("low"), -1)
    prioritize_order(order("high"), 1)
    assert claimed(node, limit=10) == ["high", "plain", "low"]


def test_priority_holds_for_all_further_steps(group: TimerGroup, node: Stepper) -> None:
    define({"a": action("b"), "b": action("end")})
    add("plain", "urgent")
    start_all(node)
    prioritize_order(order("urgent"), 5)
    assert [claimed(node) for _ in range(4)] == [["urgent"], ["urgent"], ["plain"], ["plain"]]


def test_step_that_is_given_back_keeps_the_priority_that_was_set_meanwhile(
    group: TimerGroup, time: VirtualTime, node: Stepper
) -> None:
    define()
    add("one", "two")
    start_all(node)
    (held,) = node.claim(limit=1)
    prioritize_order(order(held.name), -3)
    node.release()
    assert Waiting.objects.get(id=held.id).priority == -3
    other = Stepper(time, "other")
    assert claimed(other) == ["two" if held.name == "one" else "one"]


def test_orders_of_a_chain_begin_with_its_priority_or_that_of_their_timer(group: TimerGroup, node: Stepper) -> None:
    define()
    define(name="urgent", priority=4)
    add("plain")
    add("urgent", chain="urgent")
    add("own", chain="urgent", priority=7)
    schedule_once("work", "scheduled", after=0, action={"kind": "chain", "chain": "main"}, priority=-2)
    start_all(node)
    assert dict(ChainOrder.objects.values_list("name", "priority")) == {
        "plain": 0, "urgent": 4, "own": 7, "scheduled": -2,
    }  # fmt: skip
    assert claimed(node, limit=10) == ["own", "urgent", "plain", "scheduled"]


def test_priority_of_a_new_version_is_that_of_new_orders(group: TimerGroup, node: Stepper) -> None:
    define()
    add("before")
    start_all(node)
    update_chain("work", "main", {"start": "a", "steps": {**ONE, "end": END}, "priority": 3})
    add("after")
    node.claim(limit=100)
    node.run()
    node.finish()
    assert dict(ChainOrder.objects.values_list("name", "priority")) == {"before": 0, "after": 3}


def test_timer_that_gets_a_priority_gives_it_to_its_next_orders(group: TimerGroup, node: Stepper) -> None:
    define()
    add("later", after=60)
    update_timer("work", "later", priority=6)
    node.advance(60)
    assert ChainOrder.objects.get().priority == 6


def test_free_place_is_given_to_the_order_of_the_highest_priority(
    group: TimerGroup, time: VirtualTime, node: Stepper
) -> None:
    define({"a": action("end", max_orders=1)})
    add("a", "b", "c", "d")
    start_all(node)
    held = node.claim(limit=1)
    assert node.claim(limit=10) == []
    urgent = ChainOrder.objects.exclude(id=held[0].id).order_by("-id").first()
    assert urgent is not None
    assert Waiting.objects.get(id=urgent.id).state == "blocked"
    prioritize_order(str(urgent.id), 9)
    assert Waiting.objects.get(id=urgent.id).state == "blocked"
    node.run()
    node.finish()
    assert [execution.id for execution in node.claim(limit=1)] == [str(urgent.id)]
    assert OrderHold.objects.count() == 1


def test_branches_and_sub_chains_have_the_priority_of_their_order(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    create_chain("work", "inner", {"start": "i", "steps": {"i": action("end"), "end": END}})
    steps = {
        "map": {"kind": "map", "over": "items", "branch": "each", "join": "join", "parallel": 1},
        "each": {"kind": "chain", "chain": "inner", "next": "join"},
        "join": {"kind": "join", "next": "end"},
    }
    root = begin(steps, {"items": [1, 2]})
    prioritize_order(root, 2)
    assert set(ChainOrder.objects.values_list("priority", flat=True)) == {2}
    assert Waiting.objects.get().priority == 2
    node.until_idle()
    assert set(ChainOrder.objects.values_list("priority", flat=True)) == {2}
    assert ChainOrder.objects.count() == 5


def test_priority_that_is_set_leaves_an_audit_entry_once(begin: Begin) -> None:
    one = begin(ONE)
    prioritize_order(one, 3, actor="ann")
    prioritize_order(one, 3, actor="ann")
    (entry,) = AuditEntry.objects.filter(verb="order.prioritize")
    assert (entry.actor, entry.before, entry.after) == ("ann", {"priority": 0}, {"priority": 3})


@pytest.mark.parametrize("priority", [10, -10, True, "5", None, 1.0])
def test_priority_out_of_range_is_refused(begin: Begin, priority: Any) -> None:
    with pytest.raises(InvalidRequest, match="priority: must be a whole number from -9 to 9"):
        prioritize_order(begin(ONE), priority)


def test_priority_of_an_order_that_has_ended_is_refused(begin: Begin) -> None:
    one = begin(ONE)
    cancel_order(one)
    with pytest.raises(NotAllowedNow, match="has ended as cancelled"):
        prioritize_order(one, 1)
    ChainOrder.objects.all().delete()
    with pytest.raises(TimerNotFound, match="no order"):
        prioritize_order(one, 1)


def test_many_orders_are_prioritized(group: TimerGroup, node: Stepper) -> None:
    define()
    add("one", "two")
    start_all(node)
    orders = [order("one"), order("two")]
    assert for_each_order("prioritize", orders, priority=5).done == orders
    assert set(Waiting.objects.values_list("priority", flat=True)) == {5}
    with pytest.raises(InvalidRequest, match="priority: is needed for prioritize"):
        for_each_order("prioritize", orders)


def test_group_notes_priorities_with_the_first_order_that_has_one(group: TimerGroup) -> None:
    define()
    add("one")
    group.refresh_from_db()
    assert not group.orders_by_priority
    add("two", priority=1)
    group.refresh_from_db()
    assert group.orders_by_priority


def test_group_with_priorities_of_timers_notes_them_for_its_first_chain(group: TimerGroup) -> None:
    schedule_once("work", "plain", after=60, priority=1)
    group.refresh_from_db()
    assert not group.orders_by_priority
    define()
    group.refresh_from_db()
    assert group.orders_by_priority


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("is_chain_first", [True, False])
def test_group_whose_first_chain_and_first_priority_come_at_once_notes_both(
    group: TimerGroup, time: VirtualTime, is_chain_first: bool
) -> None:
    creations = [define, lambda: schedule_once("work", "plain", after=60, priority=1)]
    first, second = creations if is_chain_first else reversed(creations)
    with OtherSession(time.now) as session, OtherSession(time.now) as other:
        session.begin()
        session.run(first)
        created = other.start(second)
        other.waits_for_a_lock()
        session.commit()
        created.result(timeout=20)
    group.refresh_from_db()
    assert group.orders_by_priority


def test_order_begins_with_the_first_priority_of_a_group_that_was_claimed_from_before(
    group: TimerGroup, node: Stepper
) -> None:
    define()
    add("order")
    node.claim()
    node.run()
    update_timer("work", "order", priority=5)
    node.finish()
    assert ChainOrder.objects.get().priority == 5


def test_groups_with_priorities_from_before_are_marked_by_a_migration(group: TimerGroup) -> None:
    define()
    factories.group("without chains", timer_priorities=[3, 0])
    TimerGroup.objects.filter(name="work").update(timer_priorities=[3, 0])
    group.refresh_from_db()
    migration = import_module("timers.migrations.0034_groups_with_priorities")
    with connection.cursor() as cursor:
        cursor.execute(migration.MARK)
    marked = TimerGroup.objects.get(orders_by_priority=True)
    assert (marked.name, marked.version) == ("work", group.version + 1)


def test_claim_looks_for_each_priority_by_itself_so_it_reads_none_that_is_available_later(
    group: TimerGroup, node: Stepper
) -> None:
    define()
    add("plain", "high", "low")
    start_all(node)
    prioritize_order(order("high"), 9)
    prioritize_order(order("low"), -9)
    with CaptureQueriesContext(connection) as queries:
        assert claimed(node, limit=10) == ["high", "plain", "low"]
    looks = [each["sql"] for each in queries if each["sql"].lstrip().startswith("SELECT")]
    looks = [sql for sql in looks if "priority" in sql and "timers_waiting" in sql and "generate_series(0" not in sql]
    assert len(looks) == 4, "which priorities there are, and each of them"
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        for sql in looks:
            cursor.execute(f"EXPLAIN {sql}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            # Whichever index is chosen for a small table: no look is for a range of priorities.
            assert not re.search("priority [<>]=? ", plan.replace("priority <> 0", "")), plan


def test_orders_of_every_priority_are_found(group: TimerGroup, node: Stepper) -> None:
    define()
    names = {f"o{priority}": priority for priority in range(-9, 10)}
    add(*names)
    start_all(node)
    for name, priority in names.items():
        prioritize_order(order(name), priority)
    assert claimed(node, limit=100) == [f"o{priority}" for priority in range(9, -10, -1)]
