"""Subscriptions: the timers of one group, delivered to several receivers."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, rows_of, words_of
from tests.support.subscriptions import pull, receivers, subscribe
from timers.control.backfill import backfill_timer
from timers.control.executions import replay_execution, retry_failed
from timers.domain.execution_id import occurrence_of, parse
from timers.engine.consume import claim
from timers.handlers import Fail
from timers.models import Timer, TimerGroup, Waiting
from timers.scheduling import (
    fire_timer,
    schedule_fixed_delay,
    schedule_fixed_rate,
    schedule_once,
    update_timer,
)
from timers.testing import Stepper, VirtualTime


def test_each_broadcast_subscription_gets_an_execution_of_its_own(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    ordinals = {subscribe("a"), subscribe("b")}
    timer = schedule_once("orders", "t", after=0, payload={"n": 1})
    node.until_idle()
    assert receivers(handlers) == {"a": 1, "b": 1}
    assert {fire.envelope()["Subscription"] for fire in handlers.calls} == {"a", "b"}
    finals = finals_of(timer)
    assert [row.outcome for row in finals] == ["succeeded", "succeeded"]
    assert {parse(str(row.id)).ordinal for row in finals} == ordinals
    assert len({occurrence_of(str(row.id)) for row in finals}) == 1


def test_an_envelope_says_nothing_of_subscriptions_where_there_are_none(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_once("work", "t", after=0)
    node.until_idle()
    assert "Subscription" not in handlers.calls[0].envelope()


def test_one_subscribers_failure_is_its_own(orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    subscribe("a")
    subscribe("b", retry={"max_retries": 1, "min_backoff": 7, "max_backoff": 7})
    handlers.script("tests.b", ValueError("no"))
    timer = schedule_once("orders", "t", after=0, payload=1)
    node.advance(7)
    assert receivers(handlers) == {"a": 1, "b": 2}
    assert [row.outcome for row in finals_of(timer)] == ["succeeded"]
    (failed,) = Waiting.objects.all()
    assert (failed.state, failed.attempt) == ("failed", 2)
    handlers.script("tests.b", None)
    retry_failed(str(failed.id))
    node.until_idle()
    assert receivers(handlers) == {"a": 1, "b": 3}
    assert [row.outcome for row in finals_of(timer)] == ["succeeded", "succeeded"]


def test_the_same_occurrence_fired_twice_doubles_nobodys_execution(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a")
    subscribe("b")
    timer = schedule_once("orders", "t", after=0)
    at = Timer.objects.get(id=timer.id).next_fire_at
    node.until_idle()
    Timer.objects.filter(id=timer.id).update(state="active", next_fire_at=at)
    again = node.claim()
    assert {execution.id for execution in again} == {str(row.id) for row in finals_of(timer)}
    node.run()
    node.finish()
    assert words_of(timer) == ["succeeded", "succeeded"], "the ledger has one final row for each"


def test_a_killed_workers_broadcast_executions_are_rescued_each_for_its_own(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers, time: VirtualTime
) -> None:
    subscribe("a")
    subscribe("b", retry={"max_retries": 0})
    timer = schedule_once("orders", "t", after=0)
    dead = Stepper(time, "dead")
    dead.claim()
    rescued = node.rescue(dead)
    assert (rescued.ready, rescued.failed) == (1, 1), "b has no retries, a has those of the group"
    node.until_idle()
    assert receivers(handlers) == {"a": 1}
    assert handlers.calls[0].number_of_try == 2
    assert words_of(timer) == ["lost", "lost", "succeeded"]


def test_queue_subscriptions_share_the_executions(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    for name in ("a", "b", "c"):
        subscribe(name, "queue")
    for number in range(60):
        schedule_once("orders", f"{number}", after=0)
    node.until_idle()
    shares = Counter(fire.subscription for fire in handlers.calls)
    assert sum(shares.values()) == 60
    assert min(shares["a"], shares["b"], shares["c"]) >= 8, "each has a fair share"
    assert {parse(fire.execution_id).ordinal for fire in handlers.calls} == {0}


def test_an_execution_stays_with_its_queue_subscription_over_its_tries(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    for name in ("a", "b", "c"):
        subscribe(name, "queue", retry={"delays": [1]})
        handlers.script(f"tests.{name}", ValueError("no"))
    for number in range(10):
        schedule_once("orders", f"{number}", after=0)
    node.advance(10)
    for number in range(10):
        assert len(receivers(handlers, f"{number}")) == 1
        assert len(handlers.called(f"{number}")) == 6


def test_queue_and_broadcast_together(orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    subscribe("a", "broadcast")
    subscribe("b", "queue")
    subscribe("c", "queue")
    schedule_once("orders", "t", after=0)
    node.until_idle()
    got = receivers(handlers)
    assert got["a"] == 1
    assert got["b"] + got["c"] == 1


def test_a_permanent_failure_of_one_is_parked_for_that_one(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a")
    ordinal = subscribe("b")
    handlers.script("tests.b", Fail("never"))
    schedule_fixed_rate("orders", "t", period=60)
    node.advance(120)
    assert [(row.state, row.subscription) for row in Waiting.objects.all()] == [("failed", ordinal)] * 2
    assert receivers(handlers) == {"a": 2, "b": 2}


def test_history_says_for_whom_a_shared_execution_was(orders: TimerGroup, node: Stepper) -> None:
    subscribe("a", "queue")
    timer = schedule_once("orders", "t", after=0)
    node.until_idle()
    assert [row.reason for row in finals_of(timer)] == ["for subscription a"]


def test_a_subscription_gets_what_its_filter_lets_through(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a", filter={"tags": {"any": ["eu"]}})
    subscribe("b", filter={"payload": {"order.total": {"at_least": 100}}})
    schedule_once("orders", "1", after=0, tags=["eu"], payload={"order": {"total": 5}})
    schedule_once("orders", "2", after=0, payload={"order": {"total": 100}})
    schedule_once("orders", "3", after=0, tags=["eu"], payload={"order": {"total": 100.5}})
    node.until_idle()
    assert {timer: dict(receivers(handlers, timer)) for timer in "123"} == {
        "1": {"a": 1},
        "2": {"b": 1},
        "3": {"a": 1, "b": 1},
    }


def test_what_is_for_none_of_them_is_skipped_and_its_timer_goes_on(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a", filter={"payload": {"kind": "invoice"}})
    once = schedule_once("orders", "once", after=0, payload={"kind": "note"})
    rate = schedule_fixed_rate("orders", "rate", period=60, payload={"kind": "note"})
    delay = schedule_fixed_delay("orders", "delay", delay=60, payload={"kind": "note"})
    held = schedule_fixed_rate("orders", "held", period=60, payload={"kind": "note"}, until_committed=True)
    node.advance(120)
    assert handlers.calls == []
    for timer, times in ((once, 1), (rate, 2), (delay, 2), (held, 2)):
        reasons = [(row.outcome, row.reason) for row in finals_of(timer)]
        assert reasons == [("skipped", "no subscription matches")] * times
    assert Timer.objects.get(id=once.id).state == "finished"
    update_timer("orders", "held", payload={"kind": "invoice"})
    node.advance(60)
    assert receivers(handlers, "held") == {"a": 1}
    assert Timer.objects.get(id=held.id).state == "finished"


def test_an_unreadable_payload_fails_alone_and_is_not_lost(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a", filter={"payload": {"kind": "invoice"}})
    factories.spoil(schedule_once("orders", "poison", after=0), "payload")
    schedule_once("orders", "good", after=0, payload={"kind": "invoice"})
    node.until_idle()
    assert receivers(handlers, "good") == {"a": 1}
    assert [(row.name, row.state) for row in Waiting.objects.all()] == [("poison", "failed")]


def test_a_timer_with_an_action_of_its_own_is_delivered_to_that_alone(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a")
    schedule_once("orders", "t", after=0, handler="tests.noop")
    node.until_idle()
    assert [(fire.subscription, parse(fire.execution_id).ordinal) for fire in handlers.calls] == [("", 0)]


def test_a_run_on_demand_goes_to_whom_a_fire_would_go(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a")
    subscribe("b")
    pull("c")
    schedule_once("orders", "t", after=1000)
    fire_timer("orders", "t", payload={"now": True})
    node.until_idle()
    assert receivers(handlers) == {"a": 1, "b": 1}
    assert len(claim("orders", "sender", subscription="c")) == 1
    assert len({fire.execution_id for fire in handlers.calls}) == 2


def test_a_replay_is_for_the_subscription_whose_execution_it_was(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a")
    subscribe("b")
    timer = schedule_once("orders", "t", after=0)
    node.until_idle()
    replay_execution(next(str(row.id) for row in rows_of(timer) if parse(str(row.id)).ordinal == 2))
    node.until_idle()
    assert receivers(handlers) == {"a": 1, "b": 2}


def test_a_backfill_gives_each_its_own(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers, time: VirtualTime
) -> None:
    subscribe("a")
    subscribe("b")
    schedule_fixed_rate("orders", "t", period=60, start_at=time.now, max_fires=1)
    node.advance(300)
    for times in (1, 2):
        handlers.calls.clear()
        done = backfill_timer("orders", "t", start=time.now - timedelta(seconds=120), end=time.now)
        assert done.executions == 4
        node.until_idle()
        assert receivers(handlers) == {"a": 2, "b": 2}, f"the {times}. time"
    assert {fire.origin for fire in handlers.calls} == {"backfill"}
