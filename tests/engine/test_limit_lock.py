"""Claims of a group with limits take turns by a lock of their own, which nobody else holds or waits for."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from threading import Event

import pytest

from tests import factories
from tests.support.sessions import OtherSession, in_threads
from timers.consuming import claim, commit
from timers.engine.rate_states import prune_states
from timers.models import Claim, RateState, Timer, TimerGroup
from timers.scheduling import create_group, schedule_many, schedule_once, update_group
from timers.testing import Stepper, VirtualTime

pytestmark = pytest.mark.usefixtures("committed")


def due_timers(number: int, time: VirtualTime, group: str = "work") -> None:
    schedule_many([{"kind": "once", "group": group, "name": f"{n}", "after": 0} for n in range(number)])


def claimed() -> int:
    return sum(len(executions) for executions in Claim.objects.values_list("executions", flat=True))


@pytest.fixture
def crowded(group: TimerGroup) -> TimerGroup:
    """A group in which creations take turns at its row, and claims are limited."""
    return update_group("work", max_timers=10_000, max_concurrency=3)


def test_worker_claims_while_timers_are_created(crowded: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    due_timers(2, time)
    with OtherSession(time.now) as session:
        session.begin()
        session.run(lambda: schedule_once("work", "new", after=0))
        assert len(node.claim()) == 2
        session.commit()
    assert len(node.claim()) == 1


def test_consumer_claims_while_timers_are_created(time: VirtualTime) -> None:
    create_group("jobs", action={"kind": "pull"}, max_timers=100, max_rate="10/s")
    due_timers(1, time, "jobs")
    with OtherSession(time.now) as session:
        session.begin()
        session.run(lambda: schedule_once("jobs", "new", after=60))
        assert len(claim("jobs", "a", limit=5)) == 1
        session.commit()


def test_timers_are_created_while_a_claim_is_under_way(crowded: TimerGroup, time: VirtualTime) -> None:
    due_timers(1, time)
    with OtherSession(time.now) as session:
        session.begin()
        assert len(session.run(lambda: Stepper(time).claim())) == 1
        assert schedule_once("work", "new", after=1).name == "new"
        session.commit()


@pytest.mark.parametrize("before", [None, 5])
def test_change_of_a_limit_waits_for_a_claim_under_way(
    group: TimerGroup, node: Stepper, time: VirtualTime, before: int | None
) -> None:
    update_group("work", max_concurrency=before)
    due_timers(5, time)
    with OtherSession(time.now) as session, OtherSession(time.now) as other:
        session.begin()
        assert len(session.run(lambda: Stepper(time).claim(limit=4))) == 4
        change = other.start(lambda: update_group("work", max_concurrency=1))
        other.waits_for_a_lock()
        session.commit()
        change.result(timeout=20)
    assert node.claim() == [], "four are claimed, and one is allowed"


def test_nothing_is_claimed_while_a_limit_is_changed(crowded: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    due_timers(2, time)
    with OtherSession(time.now) as session:
        session.begin()
        session.run(lambda: update_group("work", max_concurrency=1))
        assert node.claim() == []
        session.commit()
    assert len(node.claim()) == 1


def test_a_claim_that_finds_nothing_keeps_no_lock(time: VirtualTime) -> None:
    create_group("jobs", action={"kind": "pull"}, max_concurrency=3)
    with OtherSession(time.now) as session:
        session.begin()
        assert session.run(lambda: claim("jobs", "a")) == []
        assert claim("jobs", "b") == []
        session.commit()


def test_prune_leaves_rates_that_are_being_written(time: VirtualTime) -> None:
    create_group("jobs", action={"kind": "pull"}, max_rate="10/s")
    due_timers(2, time, "jobs")
    claim("jobs", "a")
    time.advance(3 * 86_400)
    with OtherSession(time.now) as session:
        session.begin()
        assert len(session.run(lambda: claim("jobs", "b"))) == 1
        assert prune_states(time.now) == 0
        session.commit()
    time.advance(3 * 86_400)
    assert prune_states(time.now) == 1
    assert not RateState.objects.exists()


def test_creators_claimers_and_changes_of_limits_never_deadlock(
    crowded: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    """Over 8 sessions; a deadlock would be raised, and workers that starve would leave timers."""
    factories.group("jobs", action={"kind": "pull"}, max_concurrency=4, max_timers=10_000)
    is_over, numbers = Event(), count()

    def create() -> None:
        fields = [("work", "a"), ("jobs", "b"), ("work", "b")]
        specs = [
            {"kind": "once", "group": group, "name": f"{next(numbers)}", "after": 0, "payload": {"tenant": tenant}}
            for group, tenant in fields
        ]
        schedule_many(specs)
        schedule_many([{**spec, "name": "again"} for spec in specs[:2]], on_conflict="replace")

    def work(number: int, worker: Stepper) -> None:
        assert len(worker.claim(limit=3)) <= 3
        worker.run()
        worker.finish()

    def consume() -> None:
        for message in claim("jobs", "c", limit=2):
            commit(message.execution, message.token)

    limits = [
        {"max_concurrency": 2, "max_rate_per_key": None, "max_rate": "1000/s"},
        {"concurrency_key": "payload.tenant", "max_concurrency_per_key": 2, "max_rate": None},
        {"max_concurrency": 3, "max_concurrency_per_key": None, "max_rate_per_key": "1000/s"},
    ]

    def play(number: int) -> int:
        time.show()
        worker = Stepper(time)
        turns: list[Callable[[], object]] = [create, create, consume, consume]
        if number == 4:
            for turn in range(30):
                update_group("work", **limits[turn % len(limits)])
                update_group("jobs", **limits[turn % len(limits)])
            is_over.set()
            return 0
        done = 0
        while not is_over.is_set():
            turns[number]() if number < 4 else work(number, worker)
            done += 1
        return done

    results = in_threads(8, play)
    assert [result for result in results if isinstance(result, Exception)] == []
    assert all(int(str(turns)) > 0 for turns in results[:4] + results[5:]), "nobody starves"
    update_group("work", max_concurrency=100, max_rate=None, max_rate_per_key=None, max_concurrency_per_key=None)
    while node.step():
        pass
    assert not Timer.objects.filter(group=crowded, state="active").exists()
