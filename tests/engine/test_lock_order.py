"""Timers before claims, by rising id: who changes many at once never waits in a circle with who changes one of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.sessions import OtherSession, in_threads
from tests.support.subscriptions import subscribe
from timers.control.calendars import create_calendar, update_calendar
from timers.control.cluster_pause import pause_cluster, resume_cluster
from timers.control.subscriptions import pause_subscription
from timers.engine.advance import lock_timers
from timers.engine.recompute import recompute
from timers.engine.rescue import rescue_node
from timers.engine.reshard import move_batch
from timers.exceptions import NotAllowedNow, TimerNotFound
from timers.models import Claim, Timer, TimerGroup
from timers.scheduling import (
    cancel_timer,
    fire_timer,
    get_timer,
    pause_group,
    pause_timer,
    resume_group,
    resume_timer,
    schedule_cron,
    schedule_fixed_rate,
    schedule_many,
    schedule_once,
    skip_next_fire,
    update_group,
    update_timer,
)
from timers.testing import Stepper, VirtualTime

ROUNDS = 6

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def ahead(group: TimerGroup, time: VirtualTime) -> Stepper:
    """A node whose one claim holds a fire that can be undone and one that stands for a missed instant, of `weekly`."""
    update_group("work", on_excluded="before")
    schedule_cron("work", "weekly", expression="0 12 * * thu")
    time.advance(days=10)
    schedule_once("work", "soon", after=1)
    node = Stepper(time, "node-a", look_ahead=2.0)
    assert len(node.claim()) == 2
    assert Claim.objects.count() == 1
    return node


def a_week_from(time: VirtualTime) -> list[dict[str, list[str]]]:
    return [{"dates": [(time.now.date() + timedelta(days=n)).isoformat() for n in (6, 7)]}]


def give_calendar(time: VirtualTime) -> Callable[[], Any]:
    create_calendar("free", rules=a_week_from(time))
    return lambda: update_group("work", exclusion_calendars=["free"])


def fill_calendar(time: VirtualTime) -> Callable[[], Any]:
    create_calendar("free", rules=[])
    update_group("work", exclusion_calendars=["free"])
    return lambda: update_calendar("free", rules=a_week_from(time))


@pytest.mark.parametrize("prepare", [give_calendar, fill_calendar])
def test_change_of_exclusions_waits_for_timers_before_it_locks_what_is_claimed(
    ahead: Stepper, time: VirtualTime, prepare: Callable[[VirtualTime], Callable[[], Any]]
) -> None:
    change = prepare(time)
    ahead.claim()
    timer = get_timer("work", "weekly")
    with OtherSession(time.now) as rescuer, OtherSession(time.now) as manager:
        rescuer.begin()
        rescuer.run(lambda: lock_timers([timer.id]))
        changing = manager.start(change)
        manager.waits_for_a_lock()
        assert rescuer.run(lambda: rescue_node(ahead.node.id, time.us, "it died")).total == 2
        rescuer.commit()
        changing.result(10)
    moved_to = get_timer("work", "weekly").next_fire_at
    assert timer.next_fire_at is not None
    assert moved_to == timer.next_fire_at - timedelta(days=2), "the change has taken effect"


def test_pause_of_a_subscription_waits_for_timers_before_it_locks_what_is_claimed(
    orders: TimerGroup, time: VirtualTime
) -> None:
    subscribe("a", action={"handler": "tests.a"})
    subscribe("b", action={"handler": "tests.b"})
    timer = schedule_fixed_rate("orders", "t", period=10)
    time.advance(9)
    node = Stepper(time, "node-a", look_ahead=2.0)
    assert len(node.claim()) == 2
    with OtherSession(time.now) as rescuer, OtherSession(time.now) as manager:
        rescuer.begin()
        rescuer.run(lambda: lock_timers([timer.id]))
        pausing = manager.start(lambda: pause_subscription("orders", "a"))
        manager.waits_for_a_lock()
        assert rescuer.run(lambda: rescue_node(node.node.id, time.us, "it died")).total == 2
        rescuer.commit()
        assert pausing.result(10).state == "paused"


@pytest.mark.parametrize("verb", [pause_timer, cancel_timer, skip_next_fire])
def test_verb_of_a_timer_and_a_pause_of_its_group_wait_for_each_other_in_one_direction(
    group: TimerGroup, time: VirtualTime, verb: Callable[[str, str], Any]
) -> None:
    """The verb undoes a fire and writes the timer twice, which checks its reference to the group again."""
    schedule_fixed_rate("work", "t", period=10)
    time.advance(9)
    node = Stepper(time, "node-a", look_ahead=2.0)
    assert len(node.claim()) == 1
    with OtherSession(time.now) as person, OtherSession(time.now) as manager:
        person.begin()
        person.run(lambda: verb("work", "t"))
        pausing = manager.start(lambda: pause_group("work"))
        manager.waits_for_a_lock()
        person.commit()
        assert pausing.result(10).state == "paused"


def replaces() -> Any:
    timers = [{"kind": "fixed_rate", "group": "work", "name": name, "period": 20} for name in "ab"]
    return schedule_many(timers, on_conflict="replace")


def recomputes() -> Any:
    return recompute(Timer.objects.all())


@pytest.mark.parametrize("change", [replaces, recomputes])
def test_change_of_many_timers_and_a_rescue_lock_them_in_one_order(
    group: TimerGroup, node: Stepper, time: VirtualTime, change: Callable[[], Any]
) -> None:
    """The names are in the other order than the ids; each of two sessions gets one row first."""
    for name in "ba":
        schedule_fixed_rate("work", name, period=10)
    time.advance(10)
    assert len(node.claim()) == 2
    if change is recomputes:
        Timer.objects.update(next_fire_at=time.now + timedelta(seconds=33))
    with (
        OtherSession(time.now) as has_a,
        OtherSession(time.now) as has_b,
        OtherSession(time.now) as rescuer,
        OtherSession(time.now) as manager,
    ):
        for name, session in (("a", has_a), ("b", has_b)):
            session.begin()
            session.run(partial(lock_timers, [get_timer("work", name).id]))
        rescuing = rescuer.start(lambda: rescue_node(node.node.id, time.us, "it died"))
        rescuer.waits_for_a_lock()
        changing = manager.start(change)
        manager.waits_for_a_lock()
        has_a.commit()
        has_b.commit()
        assert rescuing.result(10).ready == 2
        changing.result(10)


def test_whatever_changes_groups_timers_and_executions_at_once_never_deadlocks(
    group: TimerGroup, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    """A deadlock would be raised in one of the sessions."""
    handlers.add("tests.noop", lambda fire: 1 / 0 if hash(fire.execution_id) % 4 == 0 else None)
    create_calendar("free", rules=[])
    factories.group("another", max_timers=5)
    update_group("work", on_excluded="before", overlap_policy="queue", max_queued=3, retry={"delays": [0, 0]})
    names = [f"{number}" for number in range(6)]
    for name in reversed(names):
        schedule_fixed_rate("work", name, period=1)
    workers = [Stepper(time, f"node-{number}", look_ahead=2.0) for number in range(2)]
    verbs: list[Callable[[Random], Any]] = [
        lambda dice: update_group("work", exclusion_calendars=dice.choice([[], ["free"]])),
        lambda dice: update_group("work", max_concurrency_per_key=dice.choice([None, 2, 3])),
        lambda dice: update_calendar("free", rules=dice.choice([[], a_week_from(time)])),
        lambda dice: (pause_group("work"), resume_group("work")),
        lambda dice: (pause_cluster(), resume_cluster()),
        lambda dice: (pause_timer("work", dice.choice(names)), resume_timer("work", dice.choice(names))),
        lambda dice: update_timer("work", dice.choice(names), payload=dice.random()),
        lambda dice: skip_next_fire("work", dice.choice(names)),
        lambda dice: fire_timer("work", dice.choice(names), overlap="allow"),
        lambda dice: cancel_timer("work", dice.choice(names)),
        lambda dice: schedule_many(
            [
                {"kind": "fixed_rate", "group": "work", "name": name, "period": 1, "concurrency_key": name}
                for name in dice.sample(names, 3)
            ],
            on_conflict="replace",
        ),
        lambda dice: schedule_many(
            [
                {"kind": "fixed_rate", "group": name, "name": "p", "period": 1, "priority": dice.randrange(8)}
                for name in dice.sample(["work", "another"], 2)
            ],
            on_conflict="replace",
        ),
        lambda dice: (update_group("work", shards=dice.choice([1, 2, 4])), move_batch()),
        lambda dice: recompute(Timer.objects.all()),
        lambda dice: rescue_node(workers[1].node.id, time.us, "it died"),
    ]

    def act(index: int, now: Any) -> None:
        VirtualTime().set(now)
        dice = Random(now.timestamp() + index)
        for _ in range(6):
            if index < len(workers):
                workers[index].step()
            else:
                with suppress(NotAllowedNow, TimerNotFound):
                    dice.choice(verbs)(dice)

    for _ in range(ROUNDS):
        time.advance(1)
        now = time.now
        assert [error for error in in_threads(6, lambda index: act(index, now)) if error is not None] == []  # noqa: B023
