"""Chains together with what else a group can be: subscribed, pulled, led, on a clock of its own, with limits of age."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.engine.orders.conftest import END, action
from tests.engine.orders.test_branches import FORK, sides
from tests.support.handlers import TemporaryHandlers
from tests.support.subscriptions import pull, subscribe
from timers.control.chains.add import add_order
from timers.control.chains.define import create_chain
from timers.control.chains.orders import cancel_order, resume_order, signal_order
from timers.control.executions import replay_execution, retry_failed
from timers.control.groups import update_group
from timers.control.sandbox import advance_clock, create_sandbox, run_clock
from timers.control.subscriptions import pause_subscription
from timers.engine.consume import claim
from timers.engine.nodes import declare_dead
from timers.exceptions import InvalidRequest, NotAllowedNow
from timers.models import Attempt, ChainOrder, Claim, Timer, TimerGroup, Waiting
from timers.scheduling import fire_timer, schedule_fixed_rate, schedule_once
from timers.testing import Stepper, VirtualTime

Begin = Callable[..., str]
CHAIN = {"kind": "chain", "chain": "main"}


def define(group: str = "work", steps: dict[str, Any] | None = None, **fields: Any) -> None:
    steps = {"a": action("b", "tests.a"), "b": action("end", "tests.b")} if steps is None else steps
    create_chain(group, "main", {"start": next(iter(steps)), "steps": {**steps, "end": END}, **fields})


def outcomes() -> list[tuple[str | None, str]]:
    rows = Attempt.objects.order_by("finished_at", "attempt", "outcome")
    return [(row.step, row.outcome) for row in rows]


def nothing_is_left() -> bool:
    return not Claim.objects.exists() and not Waiting.objects.exists()


# Subscriptions.


def test_subscription_begins_an_order_for_each_fire(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    define("orders")
    subscribe("a", action=CHAIN)
    subscribe("c")
    schedule_once("orders", "t", after=0, payload={"n": 1})
    node.until_idle()
    assert [fire.payload for fire in handlers.calls] == [{"n": 1}] * 3
    order = ChainOrder.objects.get()
    assert (order.outcome, order.variables) == ("succeeded", {"n": 1})
    assert sorted(outcomes(), key=str) == [
        ("a", "advanced"),
        ("b", "advanced"),
        (None, "succeeded"),
        (None, "succeeded"),
    ]
    assert nothing_is_left()


def test_two_subscriptions_begin_orders_of_their_own(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    define("orders")
    create_chain("orders", "other", {"start": "c", "steps": {"c": action("end", "tests.c"), "end": END}})
    subscribe("a", action=CHAIN)
    subscribe("b", action={"kind": "chain", "chain": "other"})
    schedule_fixed_rate("orders", "t", period=60)
    node.advance(61)
    assert dict(ChainOrder.objects.values_list("chain__name", "outcome")) == {"main": "succeeded", "other": "succeeded"}
    assert Timer.objects.get().open_execution is None
    assert nothing_is_left()


def test_queue_subscription_begins_orders(orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    define("orders")
    subscribe("a", "queue", action=CHAIN)
    schedule_once("orders", "t", after=0)
    node.until_idle()
    assert ChainOrder.objects.get().outcome == "succeeded"
    assert nothing_is_left()


def test_failed_order_of_a_subscription_is_resumed(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    define("orders")
    subscribe("a", action=CHAIN)
    handlers.script("tests.b", OSError("broken"), None)
    schedule_once("orders", "t", after=0)
    node.until_idle()
    order = ChainOrder.objects.get()
    assert order.state == "failed"
    resume_order(str(order.id))
    node.until_idle()
    assert Attempt.objects.get(id=order.id).outcome == "succeeded"
    assert nothing_is_left()


def test_order_under_way_goes_on_when_its_subscription_is_paused(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    define("orders")
    subscribe("a", action=CHAIN)
    schedule_once("orders", "t", after=0)
    node.step()
    pause_subscription("orders", "a")
    schedule_once("orders", "later", after=0)
    node.until_idle()
    assert list(ChainOrder.objects.values_list("name", "outcome")) == [("t", "succeeded")]


def test_timer_with_an_own_chain_goes_past_the_subscriptions(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    define("orders")
    subscribe("c")
    add_order("orders", "main", "own")
    node.until_idle()
    assert ChainOrder.objects.get().outcome == "succeeded"
    assert {fire.subscription for fire in handlers.calls} == {""}


@pytest.mark.parametrize("mode", ["queue", "broadcast"])
def test_consumers_are_never_given_steps_of_orders(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers, mode: str
) -> None:
    define("orders")
    pull("p", mode)
    add_order("orders", "main", "own")
    assert claim("orders", "c1", subscription="p") == []
    node.step()
    assert Waiting.objects.get().step == "a"
    assert claim("orders", "c1", subscription="p") == []
    node.until_idle()
    assert ChainOrder.objects.get().outcome == "succeeded"


def test_run_now_of_an_own_chain_is_not_given_to_consumers(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    define("orders")
    pull("p", "queue")
    add_order("orders", "main", "own", after=600)
    fire_timer("orders", "own")
    assert claim("orders", "c1", subscription="p") == []
    node.until_idle()
    assert ChainOrder.objects.get().outcome == "succeeded"


def test_run_now_begins_an_order_with_the_variables_that_are_given(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    for name in "ab":
        handlers.add(f"tests.{name}")
    define()
    add_order("work", "main", "later", after=600, variables={"n": 1})
    fire_timer("work", "later", payload={"n": 2})
    node.until_idle()
    assert ChainOrder.objects.get().variables == {"n": 2}
    node.advance(600)
    assert sorted(each["n"] for each in ChainOrder.objects.values_list("variables", flat=True)) == [1, 2]


# Groups that consumers pull.


def test_order_in_a_group_that_is_pulled_is_refused(time: VirtualTime, handlers: TemporaryHandlers) -> None:
    for name in "ab":
        handlers.add(f"tests.{name}")
    factories.group("pulled", action={"kind": "pull"})
    define("pulled")
    with pytest.raises(InvalidRequest, match="pulled by consumers"):
        add_order("pulled", "main", "order")


def test_group_with_orders_under_way_does_not_become_pulled(begin: Begin, node: Stepper) -> None:
    order = begin({"ask": {"kind": "signal", "signal": "go", "next": "a"}, "a": action("end")})
    node.until_idle()
    with pytest.raises(NotAllowedNow, match="action: 1 order of its chains is under way"):
        update_group("work", action={"kind": "pull"})
    signal_order(order, "go")
    node.until_idle()
    update_group("work", action={"kind": "pull"})
    assert nothing_is_left()


def test_subscription_with_a_chain_in_a_pulled_group_is_refused(
    orders: TimerGroup, handlers: TemporaryHandlers
) -> None:
    update_group("orders", action={"kind": "pull"})
    define("orders")
    with pytest.raises(InvalidRequest, match=r"action: group orders is pulled by consumers"):
        subscribe("a", action=CHAIN)


# Groups that only the leader fires.


def test_only_the_leader_runs_steps_of_a_lead_group_and_the_next_leader_goes_on(
    begin: Begin, time: VirtualTime, node: Stepper, group: TimerGroup
) -> None:
    update_group("work", placement="lead")
    node.beat()
    backup = Stepper(time, "backup")
    backup.beat()
    order = begin({"a": action("b"), "b": action("c"), "c": action("end")})
    assert backup.claim() == []
    node.step()
    assert [execution.step for execution in node.claim()] == ["b"]
    node.node.refresh_from_db()
    assert declare_dead(node.node, "no heartbeat")
    backup.rescue(node)
    backup.until_idle()
    steps = Attempt.objects.exclude(step=None).order_by("attempt", "id").values_list("step", "outcome", "node")
    assert list(steps) == [
        ("a", "advanced", node.node.name), ("b", "lost", node.node.name), ("b", "advanced", "backup"),
        ("c", "advanced", "backup"),
    ]  # fmt: skip
    assert Attempt.objects.get(id=order).outcome == "succeeded"


# Replay.


def test_replay_of_an_ended_order_is_a_new_order(begin: Begin, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.add("tests.a", lambda _: {"n": 2})
    order = begin({"a": action("b", "tests.a", results=["n"]), "b": action("end")}, {"n": 1})
    node.until_idle()
    handlers.calls.clear()
    again = replay_execution(order)
    node.until_idle()
    row = ChainOrder.objects.get(id=again)
    assert (row.outcome, row.variables) == ("succeeded", {"n": 2})
    assert handlers.calls[0].payload == {"n": 1}
    assert ChainOrder.objects.count() == 2
    other = replay_execution(order, payload={"n": 5})
    node.until_idle()
    assert ChainOrder.objects.get(id=other).outcome == "succeeded"
    assert nothing_is_left()


def test_replay_of_a_branch_is_refused(begin: Begin, node: Stepper, handlers: TemporaryHandlers) -> None:
    sides(handlers)
    begin(FORK)
    node.until_idle()
    branch = str(ChainOrder.objects.get(branch_name="left").id)
    with pytest.raises(NotAllowedNow, match="is a branch or sub-chain of order"):
        replay_execution(branch)


def test_failed_order_is_not_replayed_but_resumed(begin: Begin, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.script("tests.a", OSError("broken"), None)
    order = begin({"a": action("end", "tests.a")})
    node.until_idle()
    with pytest.raises(NotAllowedNow, match="has not ended"):
        replay_execution(order)
    retry_failed(order)
    node.until_idle()
    assert Attempt.objects.get(id=order).outcome == "succeeded"


def test_order_that_rests_is_not_replayed(begin: Begin, node: Stepper) -> None:
    order = begin({"ask": {"kind": "signal", "next": "end"}})
    node.until_idle()
    with pytest.raises(NotAllowedNow, match="has not ended"):
        replay_execution(order)
    cancel_order(order)
    node.until_idle()
    replay_execution(order)
    node.until_idle()
    assert ChainOrder.objects.filter(state="awaiting").count() == 1


# Age.


def test_max_lateness_is_that_of_the_start_and_not_of_later_steps(
    group: TimerGroup, time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    for name in "ab":
        handlers.add(f"tests.{name}")
    define(steps={"a": action("b", "tests.a"), "b": action("end", "tests.b", delay=3600)})
    update_group("work", max_lateness=30)
    schedule_once("work", "in time", after=0, action=CHAIN)
    node.step()
    time.advance(600)
    node.until_idle()
    node.advance(4000)
    assert Attempt.objects.get(step=None).outcome == "succeeded"
    assert len(handlers.calls) == 2


def test_order_that_would_begin_too_late_is_skipped(group: TimerGroup, time: VirtualTime, node: Stepper) -> None:
    define(steps={"a": action("end")})
    update_group("work", max_lateness=30)
    schedule_once("work", "late", after=10, action=CHAIN)
    time.advance(300)
    node.until_idle()
    assert [row.outcome for row in Attempt.objects.all()] == ["skipped"]
    assert not ChainOrder.objects.exists()


# Clocks of groups.


@pytest.mark.parametrize("years", [-10, 10])
def test_orders_live_by_the_clock_of_their_group(time: VirtualTime, handlers: TemporaryHandlers, years: int) -> None:
    at = time.now + timedelta(days=365 * years)
    for name in "ab":
        handlers.add(f"tests.{name}")
    create_sandbox("trial", at, action={"handler": "tests.noop"})
    node = Stepper(time)
    define(
        "trial",
        {
            "a": action("rest", "tests.a"),
            "rest": {"kind": "wait", "duration": 600, "next": "ask"},
            "ask": {"kind": "signal", "signal": "go", "deadline": 60, "on_deadline": {"goto": "b"}, "next": "end"},
            "b": action("end", "tests.b", delay=30),
        },
        deadline=3600,
    )
    add_order("trial", "main", "order")
    node.until_idle()
    order = ChainOrder.objects.get()
    assert (order.step, order.state) == ("rest", "waiting")
    assert order.available_at == at + timedelta(seconds=600)
    assert order.deadline_at == at + timedelta(seconds=3600)
    node.advance(7200)
    order.refresh_from_db()
    assert (order.step, order.state) == ("rest", "waiting"), "real time says nothing"
    for seconds, step in ((600, "ask"), (60, "b"), (30, "end")):
        advance_clock("trial", by=seconds)
        node.until_idle()
        order.refresh_from_db()
        assert order.step == step
    assert order.outcome == "succeeded"


def test_group_whose_subscription_begins_orders_does_not_become_pulled(
    orders: TimerGroup, handlers: TemporaryHandlers
) -> None:
    define("orders")
    subscribe("a", action=CHAIN)
    with pytest.raises(NotAllowedNow, match="subscription 'a' begins orders of a chain"):
        update_group("orders", action={"kind": "pull"})


def test_deadline_of_a_chain_passes_on_a_clock_that_runs(time: VirtualTime, handlers: TemporaryHandlers) -> None:
    create_sandbox("trial", time.now - timedelta(days=3650), action={"handler": "tests.noop"})
    node = Stepper(time)
    define("trial", {"ask": {"kind": "signal", "next": "end"}}, deadline=3600)
    add_order("trial", "main", "order")
    node.until_idle()
    node.advance(7200)
    assert ChainOrder.objects.get().state == "awaiting"
    run_clock("trial")
    node.advance(3500)
    assert ChainOrder.objects.get().state == "awaiting"
    node.advance(200)
    order = ChainOrder.objects.get()
    assert (order.state, order.reason) == ("failed", "the deadline of the chain passed")
