"""Limits of steps and locks: never more orders at once than allowed, in the whole cluster, and nobody is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from tests.engine.orders.conftest import END, action
from tests.support.handlers import TemporaryHandlers
from tests.support.sessions import OtherSession
from timers.control.chains.define import create_chain, update_chain
from timers.control.chains.locks import set_lock
from timers.control.chains.orders import move_order, resume_order, suspend_order
from timers.engine.orders.holds import unblock_all
from timers.models import Attempt, ChainLock, ChainOrder, Claim, OrderHold, TimerGroup, Waiting
from timers.scheduling import schedule_once
from timers.testing import Stepper, VirtualTime

Begin = Callable[..., str]


def add_orders(count: int, chain: str = "main") -> None:
    for number in range(count):
        schedule_once("work", f"{chain}{number}", after=0, action={"kind": "chain", "chain": chain})


def define(chain: str, step: dict[str, Any], **fields: Any) -> None:
    create_chain("work", chain, {"start": "a", "steps": {"a": step, "end": END}, **fields})


def finish_all(nodes: list[Stepper]) -> int:
    """Steps all nodes until nothing is left; returns the most orders that were claimed at once."""
    most = 0
    while sum(len(each.claim()) for each in nodes):
        most = max(most, sum(len(claim.executions) for claim in Claim.objects.all()))
        for each in nodes:
            each.run()
            each.finish()
    return most


def start_all(node: Stepper) -> None:
    node.step()


def test_step_runs_at_most_so_many_orders_at_once(group: TimerGroup, time: VirtualTime, node: Stepper) -> None:
    define("main", action("end", max_orders=2))
    add_orders(7)
    start_all(node)
    assert finish_all([node, Stepper(time, "b"), Stepper(time, "c")]) == 2
    assert Attempt.objects.filter(outcome="succeeded").count() == 7
    assert not OrderHold.objects.exists()
    assert not Waiting.objects.exists()


def test_lock_is_shared_by_two_chains(group: TimerGroup, time: VirtualTime, node: Stepper) -> None:
    ChainLock.objects.create(group=group, name="printer", capacity=2)
    for chain in ("one", "two"):
        define(chain, action("end", locks=["printer"]), locks={"printer": "shared"})
        add_orders(4, chain)
    start_all(node)
    assert finish_all([node, Stepper(time, "b"), Stepper(time, "c")]) == 2
    assert Attempt.objects.filter(outcome="succeeded").count() == 8


def test_places_of_a_dead_node_are_free_after_the_rescue(group: TimerGroup, time: VirtualTime, node: Stepper) -> None:
    define("main", action("end", max_orders=1))
    add_orders(2)
    start_all(node)
    assert len(node.claim()) == 1
    other = Stepper(time, "other")
    assert other.claim() == []
    other.rescue(node)
    other.until_idle()
    assert Attempt.objects.filter(outcome="succeeded").count() == 2


def test_orders_that_wait_for_a_lock_go_on_when_it_is_given_more_capacity(
    group: TimerGroup, node: Stepper, django_capture_on_commit_callbacks: Any
) -> None:
    set_lock("work", "printer", 1)
    define("main", action("end", locks=["printer"]), locks={"printer": "shared"})
    add_orders(4)
    start_all(node)
    assert len(node.claim()) == 1
    assert Waiting.objects.filter(state="blocked").count() == 3
    with django_capture_on_commit_callbacks(execute=True):
        set_lock("work", "printer", 3)
    assert Waiting.objects.filter(state="blocked").count() == 1
    assert len(node.claim()) == 2


def test_released_step_gives_its_place_back(group: TimerGroup, node: Stepper) -> None:
    define("main", action("end", max_orders=1))
    add_orders(2)
    start_all(node)
    node.claim()
    node.release()
    node.until_idle()
    assert Attempt.objects.filter(outcome="succeeded").count() == 2


def test_order_that_is_moved_waits_for_no_place_any_more(group: TimerGroup, time: VirtualTime, node: Stepper) -> None:
    steps = {"a": action("b", max_orders=1), "b": action("end"), "end": END}
    create_chain("work", "main", {"start": "a", "steps": steps})
    add_orders(2)
    start_all(node)
    node.claim()
    blocked = Waiting.objects.get()
    assert blocked.state == "ready" or blocked.state == "blocked"
    Stepper(time, "b").claim()
    assert Waiting.objects.get().state == "blocked"
    move_order(str(blocked.id), "b")
    assert (Waiting.objects.get().state, ChainOrder.objects.get(id=blocked.id).step) == ("ready", "b")


@pytest.mark.parametrize(("roles", "claimed"), [((), 0), (("gpu",), 1)])
def test_step_runs_only_on_nodes_with_its_roles(
    group: TimerGroup, time: VirtualTime, node: Stepper, roles: tuple[str, ...], claimed: int
) -> None:
    define("main", action("end", required_roles=["gpu"]))
    add_orders(1)
    start_all(node)
    assert len(Stepper(time, "other", roles=roles).claim()) == claimed


def test_roles_hold_for_a_step_that_is_taken_up_again(
    group: TimerGroup, time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    define("main", action("end", required_roles=["gpu"]))
    add_orders(1)
    start_all(node)
    gpu = Stepper(time, "gpu", roles=["gpu"])
    gpu.claim()
    gpu.release()
    assert node.claim() == []
    assert len(gpu.claim()) == 1


@pytest.mark.usefixtures("committed")
def test_end_of_a_step_waits_for_nobody_who_forgets_what_the_dead_held(
    group: TimerGroup, time: VirtualTime, node: Stepper
) -> None:
    steps = {"a": action("b", max_orders=1), "b": action("end", max_orders=1), "end": END}
    create_chain("work", "main", {"start": "a", "steps": steps})
    add_orders(2)
    start_all(node)
    first, second = (str(row) for row in ChainOrder.objects.order_by("id").values_list("id", flat=True))
    suspend_order(second)
    node.claim()
    other = Stepper(time, "other")
    other.rescue(node)
    move_order(first, "b")
    assert len(other.claim()) == 1
    resume_order(second)
    assert OrderHold.objects.count() == 2, "that of the dead node is there yet"
    other.run()
    with OtherSession(time.now) as session:
        session.begin()
        assert len(session.run(Stepper(time, "third").claim)) == 1
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
        assert not other.finish().deferred
        session.commit()
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
    assert Attempt.objects.filter(outcome="succeeded").count() == 1


def test_all_who_wait_for_different_places_go_on(group: TimerGroup, time: VirtualTime, node: Stepper) -> None:
    for chain in ("one", "two", "three"):
        define(chain, action("end", max_orders=1))
        add_orders(3, chain)
    start_all(node)
    assert len(node.claim()) == 3
    assert Waiting.objects.filter(state="blocked").count() == 6
    other = Stepper(time, "other")
    other.rescue(node)
    assert unblock_all() == 3, "one for each place"
    other.until_idle()
    assert Attempt.objects.filter(outcome="succeeded").count() == 9


def redefine(step: dict[str, Any], **fields: Any) -> None:
    update_chain("work", "main", {"start": "a", "steps": {"a": step, "end": END}, **fields})


def states() -> dict[str, int]:
    rows = Waiting.objects.values_list("state", flat=True)
    return {state: list(rows).count(state) for state in set(rows)}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"step": action("end", max_orders=3)}, {"step": action("end", max_orders=1)}),
        (
            {"step": action("end", locks=["door"]), "locks": {"door": 3}},
            {"step": action("end", locks=["door"]), "locks": {"door": 1}},
        ),
    ],
    ids=["max_orders", "lock"],
)
def test_smaller_capacity_of_a_new_version_counts_for_orders_of_all_versions(
    group: TimerGroup, time: VirtualTime, node: Stepper, before: dict[str, Any], after: dict[str, Any]
) -> None:
    define("main", **before)
    add_orders(5)
    start_all(node)
    redefine(**after)
    for number in range(2):
        schedule_once("work", f"new{number}", after=0, action={"kind": "chain", "chain": "main"})
    # Their starts are due timers, and do not wait for places.
    other = Stepper(time, "other")
    held = other.claim()
    assert len([execution for execution in held if execution.step]) == 1
    other.run()
    other.finish()
    other.until_idle()
    assert Attempt.objects.filter(outcome="succeeded").count() == 7


def test_orders_of_an_older_version_are_not_starved_by_ones_with_a_higher_capacity(
    group: TimerGroup, node: Stepper
) -> None:
    define("main", action("end", max_orders=1))
    add_orders(2)
    start_all(node)
    redefine(action("end", max_orders=2))
    schedule_once("work", "new", after=0, action={"kind": "chain", "chain": "main"})
    assert len([each for each in node.claim() if each.step]) == 2
    node.until_idle()
    assert Attempt.objects.filter(outcome="succeeded").count() == 3


@pytest.mark.parametrize(
    ("step", "fields", "ready"),
    [
        (action("end", max_orders=3), {}, 2),
        (action("end"), {}, 4),
        (action("end", max_orders=1, timeout=9), {}, 0),
    ],
    ids=["more", "none", "as many"],
)
def test_orders_that_wait_go_on_when_a_new_version_has_more_places(
    group: TimerGroup, node: Stepper, step: dict[str, Any], fields: dict[str, Any], ready: int
) -> None:
    define("main", action("end", max_orders=1))
    add_orders(5)
    start_all(node)
    assert len(node.claim()) == 1
    assert states() == {"blocked": 4}
    redefine(step, **fields)
    assert states().get("ready", 0) == ready
    assert len(node.claim()) == ready


def test_lock_that_a_new_version_shares_is_one_lock_for_orders_of_all_versions(
    group: TimerGroup, node: Stepper
) -> None:
    set_lock("work", "door", 1)
    define("main", action("end", locks=["door"]), locks={"door": 1})
    add_orders(2)
    start_all(node)
    redefine(action("end", locks=["door"]), locks={"door": "shared"})
    schedule_once("work", "new", after=0, action={"kind": "chain", "chain": "main"})
    assert len([each for each in node.claim() if each.step]) == 1
    assert set(OrderHold.objects.values_list("scope", flat=True)) == {f"lock:{group.id}/door"}


def test_step_that_the_newest_version_does_not_have_keeps_its_capacity(group: TimerGroup, node: Stepper) -> None:
    define("main", action("end", max_orders=2))
    add_orders(3)
    start_all(node)
    update_chain("work", "main", {"start": "b", "steps": {"b": action("end"), "end": END}})
    assert len(node.claim()) == 2
    assert unblock_all() == 0


def test_free_places_are_counted_by_the_newest_version_when_nobody_gives_them_back(
    group: TimerGroup, time: VirtualTime, node: Stepper
) -> None:
    define("main", action("end", max_orders=3))
    add_orders(6)
    start_all(node)
    assert len(node.claim()) == 3
    redefine(action("end", max_orders=1))
    Stepper(time, "other").rescue(node)
    assert unblock_all() == 1
