"""What crashes, slow claims and two nodes at once do to orders: no step is lost, none that was recorded runs again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.engine.orders.conftest import END, action
from tests.engine.orders.test_branches import FORK, sides
from tests.support.handlers import TemporaryHandlers
from timers.control.chains.define import create_chain, delete_chain, update_chain
from timers.control.chains.orders import cancel_order, move_order
from timers.exceptions import NotAllowedNow
from timers.models import Attempt, ChainOrder, Claim, Timer, TimerGroup, Waiting
from timers.scheduling import schedule_once
from timers.testing import Stepper, VirtualTime

Begin = Callable[..., str]


def steps_of(order: str) -> list[tuple[str, str]]:
    rows = Attempt.objects.exclude(step=None).order_by("attempt", "id")
    return list(rows.values_list("step", "outcome"))


def test_order_goes_on_elsewhere_from_the_step_at_which_its_node_died(
    begin: Begin, time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    order = begin({"a": action("b"), "b": action("end")})
    node.step()
    (claimed,) = node.claim()
    assert claimed.step == "b"
    other = Stepper(time, "other")
    other.rescue(node)
    other.until_idle()
    assert steps_of(order) == [("a", "advanced"), ("b", "lost"), ("b", "advanced")]
    assert Attempt.objects.get(id=order).outcome == "succeeded"


def test_start_of_an_order_that_was_lost_starts_it_once(group: TimerGroup, time: VirtualTime, node: Stepper) -> None:
    create_chain("work", "main", {"start": "a", "steps": {"a": action("end"), "end": END}})
    schedule_once("work", "order", after=0, action={"kind": "chain", "chain": "main"})
    node.claim()
    other = Stepper(time, "other")
    other.rescue(node)
    other.until_idle()
    order = str(ChainOrder.objects.get().id)
    assert Attempt.objects.get(id=order).outcome == "succeeded"
    assert [*Attempt.objects.exclude(id=order).order_by("attempt").values_list("attempt", "step", "outcome")] == [
        (1, None, "lost"), (2, "a", "advanced"),
    ], "each attempt has its row"  # fmt: skip


def test_branches_that_two_nodes_end_join_once(
    begin: Begin, time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    sides(handlers)
    begin(FORK)
    nodes = [node, Stepper(time, "b"), Stepper(time, "c")]
    for each in nodes:
        assert len(each.claim(limit=1)) == 1
        each.run()
    for each in nodes:
        each.finish()
    node.until_idle()
    assert len([fire for fire in handlers.calls if "branches" in fire.payload]) == 1


def test_end_of_a_step_after_the_order_went_elsewhere_is_recorded_and_moves_nothing(
    begin: Begin, node: Stepper
) -> None:
    order = begin({"a": action("b"), "b": action("end")})
    node.claim()
    cancel_order(order)
    node.run()
    node.finish()
    assert Attempt.objects.get(id=order).outcome == "cancelled"
    assert ChainOrder.objects.get().step == "a"
    assert not Claim.objects.exists()
    assert not Waiting.objects.exists()


def test_released_step_is_claimed_again_with_its_payload(begin: Begin, node: Stepper) -> None:
    begin({"a": action("end")}, {"x": 1})
    node.claim()
    assert node.release() == 1
    (again,) = node.claim()
    assert (again.step, again.payload, again.attempt) == ("a", {"x": 1}, 1)


def test_running_order_keeps_its_version_and_new_ones_take_the_newest(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.new")
    first = begin({"a": action("b"), "b": action("end")})
    update_chain("work", "main", {"start": "n", "steps": {"n": action("end", "tests.new"), "end": END}})
    schedule_once("work", "second", after=0, action={"kind": "chain", "chain": "main"})
    node.until_idle()
    assert steps_of(first).count(("n", "advanced")) == 1
    assert [fire.name for fire in handlers.calls] == ["order", "order", "second"] or len(handlers.calls) == 3


def test_unchanged_definition_makes_no_version(begin: Begin) -> None:
    begin({"a": action("end")})
    chain = update_chain("work", "main", {"start": "a", "steps": {"a": action("end"), "end": END}})
    assert chain.newest == 1


def test_chain_with_orders_under_way_is_not_deleted(begin: Begin, node: Stepper) -> None:
    begin({"a": action("end")})
    with pytest.raises(NotAllowedNow, match="under way"):
        delete_chain("work", "main")
    node.until_idle()
    delete_chain("work", "main")


def test_timer_of_a_chain_that_is_gone_fails_with_the_reason(begin: Begin, node: Stepper) -> None:
    begin({"a": action("end")})
    node.until_idle()
    schedule_once("work", "late", after=10, action={"kind": "chain", "chain": "main"})
    delete_chain("work", "main")
    node.advance(10)
    assert 'no chain "main"' in Waiting.objects.get().error_title


def test_definition_that_cannot_be_read_fails_its_orders_alone(begin: Begin, node: Stepper, time: VirtualTime) -> None:
    from timers.engine.orders.definitions import definition_of
    from timers.models import ChainVersion

    order = begin({"a": action("end")})
    ChainVersion.objects.update(definition={"steps": 3})
    definition_of.cache_clear()
    schedule_once("work", "other", after=0)
    node.until_idle()
    assert Timer.objects.filter(name="other").exists()
    assert Attempt.objects.filter(name="other", outcome="succeeded").exists()
    assert str(Waiting.objects.get(state="failed").id) == order


def test_moved_order_has_one_place(begin: Begin, node: Stepper) -> None:
    order = begin({"a": action("b", delay=60), "b": action("end")})
    assert Waiting.objects.count() == 1
    move_order(order, "b")
    assert list(Waiting.objects.values_list("step", flat=True)) == ["b"]
