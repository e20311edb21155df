"""Pulled subscriptions: consumers come for theirs, and workers serve the others."""

from __future__ import annotations

from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, words_of
from tests.support.subscriptions import pull, receivers, subscribe
from timers.consuming import claim, commit, discard
from timers.control.subscriptions import (
    pause_subscription,
    resume_subscription,
)
from timers.models import TimerGroup, Waiting
from timers.scheduling import (
    schedule_once,
)
from timers.testing import Stepper, VirtualTime


def test_consumers_pull_for_one_subscription_and_workers_serve_another(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a")
    pull("b")
    timer = schedule_once("orders", "t", after=0, payload=7)
    node.until_idle()
    assert receivers(handlers) == {"a": 1}
    (message,) = claim("orders", "sender", subscription="b")
    assert (message.envelope["Subscription"], message.envelope["Payload"]) == ("b", 7)
    assert claim("orders", "sender", subscription="b") == []
    commit(message.execution, message.token)
    assert [row.outcome for row in finals_of(timer)] == ["succeeded", "succeeded"]


def test_a_consumers_claim_fires_what_is_due_for_all(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a")
    pull("b")
    pull("c")
    schedule_once("orders", "t", after=0)
    assert len(claim("orders", "sender", subscription="b")) == 1
    node.until_idle()
    assert receivers(handlers) == {"a": 1}
    assert len(claim("orders", "sender", subscription="c")) == 1


def test_a_consumer_finds_what_its_filter_lets_through_among_much_that_is_for_others(
    orders: TimerGroup, node: Stepper
) -> None:
    pull("a", filter={"tags": {"all": ["rare"]}})
    pull("b")
    for number in range(150):
        schedule_once("orders", f"{number}", after=0)
    node.time.advance(1)
    schedule_once("orders", "wanted", after=0, tags=["rare"])
    (message,) = claim("orders", "sender", subscription="a")
    assert message.envelope["Name"] == "wanted"
    assert len(claim("orders", "sender", subscription="b", limit=1000)) == 151


def test_pulled_queue_subscriptions_share_whoever_comes_first(orders: TimerGroup, node: Stepper) -> None:
    pull("a", "queue")
    pull("b", "queue")
    pull("c", "queue", filter={"tags": {"any": ["eu"]}})
    for number in range(20):
        schedule_once("orders", f"{number}", after=0)
    node.until_idle()
    messages = claim("orders", "sender", subscription="a", limit=100)
    assert len(messages) == 20
    assert {message.envelope["Subscription"] for message in messages} == {"a"}


def test_a_pulled_subscription_has_its_own_retry_policy(orders: TimerGroup, time: VirtualTime) -> None:
    pull("a", "queue", retry={"max_retries": 1, "delays": [7]})
    timer = schedule_once("orders", "t", after=0)
    for _ in range(2):
        (message,) = claim("orders", "sender", subscription="a")
        discard(message.execution, message.token)
        time.advance(7)
    assert Waiting.objects.get().state == "failed"
    assert words_of(timer) == ["discarded", "discarded"]


def test_a_lost_lease_shows_it_to_the_same_subscription_again(orders: TimerGroup, time: VirtualTime) -> None:
    pull("a", "queue")
    pull("b", "queue", filter={"tags": {"none": ["x"]}})
    schedule_once("orders", "t", after=0, tags=["x"])
    claim("orders", "sender", subscription="a", lease=5)
    time.advance(5)
    assert claim("orders", "sender", subscription="b") == []
    (message,) = claim("orders", "sender", subscription="a")
    assert message.envelope["NumberOfTry"] == 2


def test_a_paused_pulled_subscription_has_nothing_to_claim(orders: TimerGroup, node: Stepper) -> None:
    pull("a")
    schedule_once("orders", "t", after=0)
    pause_subscription("orders", "a")
    assert claim("orders", "sender", subscription="a") == []
    resume_subscription("orders", "a")
    assert len(claim("orders", "sender", subscription="a")) == 1
