"""Changes of a group, its calendars, its subscriptions and the cluster reach what is claimed and has not begun."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import words_of
from tests.support.sessions import OtherSession
from tests.support.subscriptions import receivers, subscribe
from timers.control.calendars import create_calendar, update_calendar
from timers.control.cluster_pause import pause_cluster, pause_partition, resume_cluster, resume_partition
from timers.control.subscriptions import pause_subscription, resume_subscription, update_subscription
from timers.engine.fire import fire_due
from timers.models import Claim, TimerGroup, Waiting
from timers.scheduling import (
    fire_timer,
    get_timer,
    pause_group,
    resume_group,
    schedule_fixed_rate,
    schedule_many,
    schedule_once,
    update_group,
    update_timer,
)
from timers.testing import Stepper, VirtualTime


@pytest.fixture
def ahead(time: VirtualTime) -> Stepper:
    """A node that claims two seconds ahead."""
    return Stepper(time, "node-a", look_ahead=2.0)


def test_pause_of_a_group_undoes_claimed_fires_which_are_missed_at_its_resume(
    group: TimerGroup, ahead: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    update_group("work", misfire_policy="skip")
    schedule_fixed_rate("work", "rate", period=2)
    schedule_many([{"kind": "once", "group": "work", "name": f"{n}", "after": 1} for n in range(20)])
    assert len(ahead.claim()) == 21
    assert pause_group("work").in_flight == []
    assert not Claim.objects.exists() and not Waiting.objects.exists()
    assert get_timer("work", "rate").fire_count == 0
    ahead.advance(90)
    assert handlers.calls == []
    resume_group("work")
    ahead.advance(0)
    assert [fire.name for fire in handlers.calls] == [], "the policy decides about missed fires"
    assert words_of(get_timer("work", "0")) == ["skipped"]


def test_pause_of_a_group_gives_claimed_manual_runs_back(
    group: TimerGroup, ahead: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_fixed_rate("work", "rate", period=3600)
    fire_timer("work", "rate", delay=1)
    ahead.claim()
    pause_group("work")
    assert [(row.state, row.attempt) for row in Waiting.objects.all()] == [("ready", 0)]
    ahead.advance(5)
    assert handlers.calls == []
    resume_group("work")
    ahead.advance(1)
    assert [fire.number_of_try for fire in handlers.calls] == [1]


def test_pause_of_a_group_names_what_has_begun(group: TimerGroup, ahead: Stepper, time: VirtualTime) -> None:
    schedule_once("work", "now", after=0)
    schedule_once("work", "soon", after=1)
    ahead.claim()
    (begun,) = ahead.run()
    assert pause_group("work").in_flight == [begun.execution.id]


def test_pause_of_the_cluster_calls_back_what_is_claimed_in_all_groups(
    group: TimerGroup, orders: TimerGroup, ahead: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_once("work", "t", after=1)
    schedule_once("orders", "t", after=1, handler="tests.a")
    ahead.claim()
    assert pause_cluster().in_flight == []
    ahead.advance(5)
    assert handlers.calls == []
    assert not Claim.objects.exists()
    resume_cluster()
    ahead.advance(1)
    assert len(handlers.calls) == 2


def test_pause_of_a_partition_calls_back_what_is_claimed_in_its_groups_alone(
    group: TimerGroup, orders: TimerGroup, ahead: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    other = Stepper(time, "node-b", partition="reports", look_ahead=2.0)
    TimerGroup.objects.filter(id=orders.id).update(partition="reports")
    schedule_once("work", "t", after=1)
    schedule_once("orders", "t", after=1, handler="tests.a")
    for each in (ahead, other):
        each.claim()
    assert pause_partition("reports").in_flight == []
    assert [claim.group_id for claim in Claim.objects.all()] == [group.id]
    for each in (other, ahead):
        each.advance(1)
    assert [fire.group for fire in handlers.calls] == ["work"]
    resume_partition("reports")
    other.advance(1)
    assert [fire.group for fire in handlers.calls] == ["work", "orders"]


def test_pause_of_a_partition_names_what_has_begun(group: TimerGroup, ahead: Stepper) -> None:
    schedule_once("work", "now", after=0)
    ahead.claim()
    (begun,) = ahead.run()
    assert pause_partition("default").in_flight == [begun.execution.id]
    ahead.finish()
    assert words_of(get_timer("work", "now")) == ["succeeded"]


def test_update_of_a_groups_action_reaches_what_is_claimed(
    group: TimerGroup, ahead: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.other")
    schedule_once("work", "t", after=1)
    ahead.claim()
    assert update_group("work", action={"handler": "tests.other"}).in_flight == []
    ended = ahead.advance(1)
    assert [outcome.execution.action_name for outcome in ended] == ["tests.other"]


def test_update_that_changes_nothing_leaves_the_claims_alone(group: TimerGroup, ahead: Stepper) -> None:
    schedule_once("work", "t", after=1)
    ahead.claim()
    update_group("work", overlap_policy="skip", description="for people")
    assert Claim.objects.count() == 1


def test_change_of_a_calendar_leaves_a_claimed_fire_out(
    group: TimerGroup, ahead: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    create_calendar("free", rules=[])
    update_group("work", exclusion_calendars=["free"])
    timer = schedule_fixed_rate("work", "t", period=2)
    ahead.claim()
    today = time.now.date()
    days = [(today + timedelta(days=n)).isoformat() for n in range(2)]
    assert update_calendar("free", rules=[{"dates": days}]).in_flight == []
    ahead.advance(2)
    assert handlers.calls == []
    assert set(words_of(timer)) == {"skipped"}


def test_change_of_a_calendar_moves_a_claimed_fire(
    group: TimerGroup, ahead: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    create_calendar("free", rules=[])
    update_group("work", exclusion_calendars=["free"], on_excluded="after")
    schedule_fixed_rate("work", "t", period=3600 * 24, start_at=time.now + timedelta(seconds=2))
    ahead.claim()
    update_calendar("free", rules=[{"dates": [time.now.date().isoformat()]}])
    ahead.advance(5)
    assert handlers.calls == []
    ahead.advance(days=1)
    assert len(handlers.calls) == 1


def test_pause_of_a_subscription_holds_back_what_is_claimed_for_it(
    orders: TimerGroup, ahead: Stepper, handlers: TemporaryHandlers
) -> None:
    for name in ("a", "b"):
        subscribe(name)
    schedule_once("orders", "t", after=1)
    ahead.claim()
    assert pause_subscription("orders", "b").in_flight == []
    ahead.advance(2)
    assert receivers(handlers) == {"a": 1}
    resume_subscription("orders", "b")
    ahead.advance(1)
    assert receivers(handlers) == {"a": 1, "b": 1}


def test_update_of_a_subscriptions_action_reaches_what_is_claimed_for_it(
    orders: TimerGroup, ahead: Stepper, handlers: TemporaryHandlers
) -> None:
    subscribe("a")
    schedule_once("orders", "t", after=1)
    ahead.claim()
    assert update_subscription("orders", "a", action={"handler": "tests.c"}).in_flight == []
    ended = ahead.advance(1)
    assert [outcome.execution.action_name for outcome in ended] == ["tests.c"]


def test_update_of_a_timer_undoes_an_occurrence_for_all_its_subscriptions_or_none(
    orders: TimerGroup, ahead: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    for name in ("a", "b"):
        subscribe(name)
    schedule_once("orders", "whole", after=1)
    ahead.claim()
    assert update_timer("orders", "whole", after=10).in_flight == []
    ahead.advance(5)
    assert handlers.calls == []
    ahead.advance(5)
    assert receivers(handlers, "whole") == {"a": 1, "b": 1}


def test_replace_of_a_claimed_one_shot_takes_its_place(
    group: TimerGroup, ahead: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    first = schedule_once("work", "t", after=1, payload="old")
    ahead.claim()
    second = schedule_once("work", "t", after=5, payload="new", on_conflict="replace")
    assert (second.id, second.in_flight) == (first.id, ())
    ahead.advance(4)
    assert handlers.calls == []
    ahead.advance(1)
    assert [fire.payload for fire in handlers.calls] == ["new"]


def test_replace_names_what_has_begun(group: TimerGroup, ahead: Stepper, time: VirtualTime) -> None:
    schedule_fixed_rate("work", "t", period=1)
    time.advance(1)
    ahead.claim()
    (begun,) = ahead.run()
    assert schedule_fixed_rate("work", "t", period=9, on_conflict="replace").in_flight == (begun.execution.id,)


@pytest.mark.usefixtures("committed")
def test_nothing_is_fired_by_a_worker_that_knows_the_group_from_before_its_pause(
    group: TimerGroup, ahead: Stepper, time: VirtualTime
) -> None:
    """The worker has seen that something is due, and fires it while the group is being paused, or right after."""
    schedule_once("work", "t", after=1)
    now_us = time.us
    _, work = ahead._groups.with_due_work(now_us, now_us + 2_000_000, {})
    (item,) = work

    def fire() -> int:
        fired = fire_due(ahead.holder, item.group, 0, 0, now_us=now_us, horizon_us=now_us + 2_000_000, limit=10)
        return len(fired.executions)

    with OtherSession(time.now) as session:
        session.begin()
        session.run(lambda: pause_group("work"))
        assert fire() == 0, "while it is being paused"
        session.commit()
    assert fire() == 0, "after it was paused"


@pytest.mark.usefixtures("committed")
def test_pause_of_a_group_waits_for_a_fire_under_way_and_undoes_it(
    group: TimerGroup, ahead: Stepper, time: VirtualTime
) -> None:
    schedule_once("work", "t", after=1)
    with OtherSession(time.now) as session:
        session.begin()
        session.run(ahead.claim)
        with OtherSession(time.now) as person:
            paused = person.start(lambda: pause_group("work"))
            person.waits_for_a_lock()
            session.commit()
            assert paused.result(timeout=10).in_flight == []
    assert get_timer("work", "t").state == "active"
    assert not Claim.objects.exists()
    connection.close()
