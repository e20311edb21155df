"""Subscriptions that are paused, resumed and deleted: what becomes of what was for them."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of
from tests.support.subscriptions import receivers, subscribe
from timers.control.subscriptions import (
    delete_subscription,
    pause_subscription,
    resume_subscription,
)
from timers.engine.execution import served
from timers.engine.fire import fire_due
from timers.engine.hand_over import HandedOver, hand_over_left_behind
from timers.models import Attempt, Claim, Subscription, Timer, TimerGroup, Waiting
from timers.scheduling import (
    schedule_fixed_rate,
    schedule_once,
)
from timers.testing import Stepper, VirtualTime


def test_what_a_paused_broadcast_subscription_misses_waits_and_holds_up_no_others(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a")
    subscribe("b")
    schedule_fixed_rate("orders", "t", period=60)
    node.advance(60)
    pause_subscription("orders", "b", reason="its database moves")
    node.advance(180)
    assert receivers(handlers) == {"a": 4, "b": 1}
    resume_subscription("orders", "b")
    node.until_idle()
    assert receivers(handlers) == {"a": 4, "b": 4}


def test_only_so_many_wait_for_a_paused_one(orders: TimerGroup, node: Stepper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timers.engine.parked.MAX_PARKED", 2)
    subscribe("a")
    subscribe("b")
    pause_subscription("orders", "b")
    timer = schedule_fixed_rate("orders", "t", period=60)
    node.advance(240)
    assert Waiting.objects.filter(state="ready").count() == 2
    skipped = [row.reason for row in finals_of(timer) if row.outcome == "skipped"]
    assert [reason.partition(", and ")[0] for reason in skipped] == ["its subscription is paused"] * 2


def test_a_pause_lets_timers_go_on_that_wait_for_nothing_else(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a")
    subscribe("b", retry={"delays": [1000]})
    handlers.script("tests.b", ValueError("no"))
    schedule_fixed_rate("orders", "t", period=60)
    node.advance(120)
    assert receivers(handlers) == {"a": 1, "b": 1}
    pause_subscription("orders", "b")
    node.advance(60)
    assert receivers(handlers) == {"a": 2, "b": 1}


def test_what_waits_for_a_deleted_subscription_is_cancelled(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a")
    subscribe("b", retry={"delays": [1000]})
    handlers.script("tests.b", ValueError("no"))
    timer = schedule_fixed_rate("orders", "t", period=60)
    node.advance(60)
    gone = delete_subscription("orders", "b")
    assert (gone.cancelled, gone.handed_over, gone.in_flight) == (1, 0, [])
    assert {(row.outcome, row.reason) for row in finals_of(timer)} == {
        ("succeeded", None),
        ("cancelled", "its subscription b was deleted"),
    }
    node.advance(60)
    assert receivers(handlers) == {"a": 2, "b": 1}


def test_what_runs_for_a_deleted_subscription_gets_no_further_try(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a")
    handlers.script("tests.a", ValueError("no"))
    timer = schedule_once("orders", "t", after=0)
    (held,) = node.claim()
    node.run()
    assert delete_subscription("orders", "a").in_flight == [held.id]
    node.finish()
    assert [row.outcome for row in finals_of(timer)] == ["cancelled"]
    assert not Waiting.objects.exists()


def test_what_waits_for_a_deleted_queue_subscription_goes_to_the_others(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a", "queue", retry={"delays": [60]})
    handlers.script("tests.a", ValueError("no"))
    schedule_once("orders", "mine", after=0)
    schedule_once("orders", "nobodys", after=0, payload=1)
    node.until_idle()
    subscribe("b", "queue", filter={"tags": {"none": ["x"]}})
    Timer.objects.filter(name="nobodys").update(tags=["x"])
    gone = delete_subscription("orders", "a")
    assert (gone.cancelled, gone.handed_over) == (1, 1)
    node.advance(60)
    assert receivers(handlers, "mine") == {"a": 1, "b": 1}
    assert receivers(handlers, "nobodys") == {"a": 1}


def test_a_worker_with_older_subscriptions_fires_nothing_before_it_has_read_them_again(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers, time: VirtualTime
) -> None:
    subscribe("a")
    (known,) = served([TimerGroup.objects.get(name="orders")])
    schedule_once("orders", "t", after=0)
    subscribe("b")
    fired = fire_due(node.holder, known, 0, now_us=time.us, horizon_us=time.us, limit=10)
    assert (fired.executions, fired.rows, fired.is_stale) == ([], 0, True)
    node.until_idle()
    assert receivers(handlers) == {"a": 1, "b": 1}


def test_a_group_without_its_last_subscription_is_as_it_was(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    TimerGroup.objects.update(action={"handler": "tests.noop"})
    subscribe("a")
    schedule_fixed_rate("orders", "t", period=60)
    node.advance(60)
    delete_subscription("orders", "a")
    node.advance(60)
    assert [fire.subscription for fire in handlers.calls] == ["a", ""]
    assert not Claim.objects.exists()
    assert Attempt.objects.filter(outcome="succeeded").count() == 2


def test_what_comes_back_for_a_deleted_queue_subscription_goes_to_the_others(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a", "queue", retry={"delays": [1]})
    handlers.script("tests.a", ValueError("no"))
    schedule_once("orders", "t", after=0)
    (held,) = node.claim()
    node.run()
    assert delete_subscription("orders", "a").in_flight == [held.id]
    subscribe("b", "queue")
    node.finish()
    assert hand_over_left_behind() == HandedOver(moved=1)
    node.advance(1)
    assert receivers(handlers) == {"a": 1, "b": 1}


def test_an_ordinal_is_used_again_only_when_all_have_been(orders: TimerGroup, time: VirtualTime) -> None:
    assert [subscribe("a"), subscribe("b")] == [1, 2]
    delete_subscription("orders", "a")
    assert subscribe("a") == 3
    Subscription.objects.filter(name="b").update(ordinal=255)
    assert subscribe("c") == 1, "that of the one deleted first"


def test_a_target_that_is_gone_pauses_its_subscription_and_not_the_timer(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a")
    subscribe("b", action={"kind": "http", "url": "https://api.example.org/hook"})
    timer = schedule_fixed_rate("orders", "t", period=60)
    node.answer = lambda action, fire: 410
    node.advance(180)
    row = Subscription.objects.get(name="b")
    assert (row.state, row.state_reason) == (
        "paused",
        "paused itself: api.example.org:443 says that it is gone (410)",
    )
    assert receivers(handlers) == {"a": 3}
    assert Timer.objects.get(id=timer.id).state == "active"
    assert Counter(row.state for row in Waiting.objects.all()) == {"failed": 1, "ready": 2}


def test_a_paused_queue_subscriptions_share_goes_to_the_others(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a", "queue")
    subscribe("b", "queue")
    pause_subscription("orders", "a")
    for number in range(20):
        schedule_once("orders", f"{number}", after=0)
    node.until_idle()
    assert Counter(fire.subscription for fire in handlers.calls) == {"b": 20}


def test_what_waits_for_a_queue_subscription_goes_to_the_others_when_it_is_paused(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a", "queue", retry={"delays": [60]})
    handlers.script("tests.a", ValueError("no"))
    schedule_once("orders", "t", after=0)
    node.until_idle()
    subscribe("b", "queue")
    pause_subscription("orders", "a")
    node.advance(60)
    assert [(fire.subscription, fire.number_of_try) for fire in handlers.calls] == [("a", 1), ("b", 2)]


def test_where_all_are_paused_executions_wait(orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    subscribe("a", "queue")
    pause_subscription("orders", "a")
    schedule_once("orders", "t", after=0)
    node.until_idle()
    assert handlers.calls == []
    assert Waiting.objects.get().state == "ready"
    resume_subscription("orders", "a")
    node.until_idle()
    assert receivers(handlers) == {"a": 1}
