"""Subscriptions: the timers of one group, delivered to several receivers."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, rows_of, words_of
from timers.execution_id import occurrence_of, parse
from timers.handlers import Discard, Fail
from timers.lifecycle.consume import claim, commit, discard
from timers.lifecycle.control.backfill import backfill_timer
from timers.lifecycle.control.executions import replay_execution, retry_failed
from timers.lifecycle.control.subscriptions import (
    create_subscription,
    delete_subscription,
    pause_subscription,
    resume_subscription,
)
from timers.lifecycle.execution import served
from timers.lifecycle.fire import fire_due
from timers.lifecycle.hand_over import HandedOver, hand_over_left_behind
from timers.models import Attempt, Claim, Subscription, Timer, TimerGroup, Waiting
from timers.scheduling import (
    fire_timer,
    schedule_fixed_delay,
    schedule_fixed_rate,
    schedule_once,
    update_timer,
)
from timers.testing import Stepper, VirtualTime


@pytest.fixture
def orders(time: VirtualTime, handlers: TemporaryHandlers) -> TimerGroup:
    """A group without an action of its own."""
    for name in ("tests.a", "tests.b", "tests.c"):
        handlers.add(name)
    return factories.group("orders", action=None)


def subscribe(name: str, mode: str = "broadcast", **more: Any) -> int:
    """A subscription whose handler is tests.<name>; returns its ordinal."""
    action = more.pop("action", {"handler": f"tests.{name}"})
    return create_subscription("orders", name, mode=mode, action=action, **more).ordinal


def pull(name: str, mode: str = "broadcast", **more: Any) -> int:
    return subscribe(name, mode, action={"kind": "pull"}, **more)


def receivers(handlers: TemporaryHandlers, timer: str = "t") -> Counter[str]:
    return Counter(fire.subscription for fire in handlers.called(timer))


# Broadcast


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


# Queue


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


# Filters


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


# Timers that follow their executions


def test_an_occurrence_overlaps_until_its_last_execution_has_ended(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a")
    subscribe("b", retry={"delays": [90]})
    handlers.script("tests.b", ValueError("no"), None)
    timer = schedule_fixed_rate("orders", "t", period=60)
    node.advance(60)
    assert receivers(handlers) == {"a": 1, "b": 1}
    node.advance(60)
    assert receivers(handlers) == {"a": 1, "b": 1}, "b's execution waits for its retry"
    assert [row.outcome for row in finals_of(timer)] == ["succeeded", "skipped"]
    node.advance(60)
    assert receivers(handlers) == {"a": 2, "b": 3}


def test_queued_occurrences_come_whole_one_after_the_other(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    TimerGroup.objects.update(overlap_policy="queue", max_queued=2)
    subscribe("a")
    subscribe("b", retry={"delays": [200]})
    handlers.script("tests.b", ValueError("no"), None)
    timer = schedule_fixed_rate("orders", "t", period=60, max_fires=3)
    node.advance(180)
    assert receivers(handlers) == {"a": 1, "b": 1}
    assert Waiting.objects.filter(state="queued").count() == 4, "two occurrences of two executions"
    node.advance(80)
    assert receivers(handlers) == {"a": 3, "b": 4}
    assert Timer.objects.get(id=timer.id).state == "finished"


def test_an_occurrence_makes_way_with_all_its_executions(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    TimerGroup.objects.update(overlap_policy="replace")
    for name in ("a", "b"):
        subscribe(name, retry={"delays": [500]})
        handlers.script(f"tests.{name}", ValueError("no"), None)
    timer = schedule_fixed_rate("orders", "t", period=60)
    node.advance(60)
    assert Waiting.objects.filter(state="ready").count() == 2
    node.advance(60)
    assert receivers(handlers) == {"a": 2, "b": 2}
    assert [row.outcome for row in finals_of(timer)] == ["cancelled"] * 2 + ["succeeded"] * 2


def test_an_occurrence_makes_way_when_its_running_executions_have_ended(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    TimerGroup.objects.update(overlap_policy="replace")
    subscribe("a")
    subscribe("b")
    timer = schedule_fixed_rate("orders", "t", period=60)
    node.time.advance(60)
    first, second = node.claim()
    node.held = [first]
    node.run()
    node.finish()
    node.time.advance(60)
    node.claim()
    assert Waiting.objects.filter(state="queued").count() == 2, "b's first is still held"
    node.held = [second]
    node.until_idle()
    assert Counter(row.outcome for row in finals_of(timer)) == {"succeeded": 3, "cancelled": 1}


def test_until_committed_lasts_until_each_has_committed(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a")
    subscribe("b")
    handlers.script("tests.b", Discard(), Discard(), None)
    timer = schedule_fixed_rate("orders", "t", period=60, until_committed=True)
    node.advance(60)
    assert Timer.objects.get(id=timer.id).state == "active"
    node.advance(120)
    assert [fire.number_of_try for fire in handlers.calls if fire.subscription == "b"] == [1, 2, 3]
    assert receivers(handlers) == {"a": 1, "b": 3}
    assert Timer.objects.get(id=timer.id).state == "finished"


def test_a_fixed_delay_counts_from_the_last_of_them(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers, time: VirtualTime
) -> None:
    subscribe("a")
    subscribe("b", retry={"delays": [100]})
    handlers.script("tests.b", ValueError("no"), None)
    timer = schedule_fixed_delay("orders", "t", delay=60)
    node.advance(60)
    assert Timer.objects.get(id=timer.id).next_fire_at is None
    node.advance(100)
    assert Timer.objects.get(id=timer.id).next_fire_at == time.now + timedelta(seconds=60)


def test_a_finished_timer_is_not_deleted_before_its_last_execution_has_ended(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    TimerGroup.objects.update(on_finish="delete")
    subscribe("a")
    subscribe("b")
    timer = schedule_once("orders", "t", after=0)
    first, second = node.claim()
    node.held = [first]
    node.run()
    node.finish()
    assert Timer.objects.filter(id=timer.id).exists()
    node.held = [second]
    node.run()
    node.finish()
    assert not Timer.objects.filter(id=timer.id).exists()


# Pause, resume, delete


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
    monkeypatch.setattr("timers.lifecycle.parked.MAX_PARKED", 2)
    subscribe("a")
    subscribe("b")
    pause_subscription("orders", "b")
    timer = schedule_fixed_rate("orders", "t", period=60)
    node.advance(240)
    assert Waiting.objects.filter(state="ready").count() == 2
    skipped = [row.reason for row in finals_of(timer) if row.outcome == "skipped"]
    assert skipped == ["its subscription is paused, and enough waits for it"] * 2


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
    assert delete_subscription("orders", "a").in_flight == [held.id]
    node.run()
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


# Pulled subscriptions


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


# Runs beside the schedule


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


# Races and rows left behind


def test_a_worker_with_older_subscriptions_fires_nothing_before_it_has_read_them_again(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers, time: VirtualTime
) -> None:
    subscribe("a")
    (known,) = served([TimerGroup.objects.get(name="orders")])
    schedule_once("orders", "t", after=0)
    subscribe("b")
    fired = fire_due(node.holder, known, 0, now_us=time.us, horizon_us=time.us, limit=10)
    assert (fired.executions, fired.rows, fired.more) == ([], 0, True)
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


def test_what_comes_back_for_a_deleted_queue_subscription_goes_to_the_others(
    orders: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a", "queue", retry={"delays": [1]})
    handlers.script("tests.a", ValueError("no"))
    schedule_once("orders", "t", after=0)
    (held,) = node.claim()
    assert delete_subscription("orders", "a").in_flight == [held.id]
    node.run()
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


def test_history_says_for_whom_a_shared_execution_was(orders: TimerGroup, node: Stepper) -> None:
    subscribe("a", "queue")
    timer = schedule_once("orders", "t", after=0)
    node.until_idle()
    assert [row.reason for row in finals_of(timer)] == ["for subscription a"]
