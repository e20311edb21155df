"""At most so many executions of a group are claimed at once."""

from __future__ import annotations

from datetime import timedelta
from threading import Lock
from typing import Any

import pytest
from django.db import connection

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import words_of
from tests.support.sessions import OtherSession, in_threads
from timers.consuming import claim, commit, discard
from timers.exceptions import InvalidRequest
from timers.handlers import Fire
from timers.models import Attempt, Claim, Timer, TimerGroup, Waiting
from timers.scheduling import (
    create_group,
    fire_timer,
    schedule_cron,
    schedule_fixed_rate,
    schedule_many,
    schedule_once,
    update_group,
)
from timers.testing import Stepper, VirtualTime


def due_timers(number: int, time: VirtualTime, group: str = "work", **fields: Any) -> None:
    schedule_many([{"kind": "once", "group": group, "name": f"{n}", "after": 1, **fields} for n in range(number)])
    time.advance(1)


def limited(group: TimerGroup, most: int | None) -> TimerGroup:
    return update_group(group.name, max_concurrency=most)


def claimed(group: TimerGroup) -> int:
    return sum(len(executions) for executions in Claim.objects.filter(group=group).values_list("executions", flat=True))


def test_so_many_are_claimed_and_the_others_stay_due(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    limited(group, 3)
    due_timers(10, time)
    assert len(node.claim()) == 3
    assert node.claim() == []
    assert Timer.objects.filter(state="active").count() == 7


def test_each_end_lets_the_next_one_begin(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    limited(group, 3)
    due_timers(7, time)
    assert [len(node.step()) for _ in range(4)] == [3, 3, 1, 0]
    assert Attempt.objects.filter(outcome="succeeded").count() == 7


def test_what_is_claimed_ahead_counts(group: TimerGroup, time: VirtualTime) -> None:
    limited(group, 2)
    node, other = Stepper(time, look_ahead=2), Stepper(time, look_ahead=2)
    schedule_many([{"kind": "once", "group": "work", "name": f"{n}", "after": 1} for n in range(5)])
    assert (len(node.claim()), len(other.claim())) == (2, 0)


def test_all_nodes_together_claim_no_more(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    limited(group, 3)
    due_timers(10, time)
    assert len(node.claim(limit=2)) == 2
    assert len(Stepper(time).claim()) == 1
    assert len(Stepper(time).claim()) == 0


def test_retries_and_manual_runs_count_too(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    limited(group, 2)
    due_timers(2, time)
    for name in ("0", "1"):
        fire_timer("work", name, overlap="allow")
    assert len(node.claim()) == 2
    assert node.claim() == []
    node.run()
    node.finish()
    assert len(node.claim()) == 2


def test_what_a_dead_node_held_counts_until_it_is_rescued(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    limited(group, 2)
    due_timers(4, time)
    dead = Stepper(time)
    assert len(dead.claim()) == 2
    assert node.claim() == []
    node.rescue(dead)
    assert claimed(group) == 0
    time.advance(3600)
    assert len(node.claim()) == 2


def test_what_one_timer_fires_at_once_beyond_the_limit_waits_its_turn(
    group: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    update_group("work", max_concurrency=2, misfire_policy="fire_all", overlap_policy="allow")
    timer = schedule_fixed_rate("work", "rate", period=100)
    time.advance(500)
    assert len(node.claim()) == 2
    assert Waiting.objects.filter(state="ready").count() == 3
    while node.run() or node.claim():
        assert claimed(group) <= 2
        node.finish()
    assert words_of(timer) == ["succeeded"] * 5


def test_lowering_the_limit_ends_nothing_that_runs(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    limited(group, 4)
    due_timers(8, time)
    assert len(node.claim()) == 4
    limited(group, 1)
    assert node.claim() == []
    assert len(node.run()) == 4
    node.finish()
    assert len(node.claim()) == 1


def test_without_the_limit_everything_goes_on(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    limited(group, 1)
    due_timers(5, time)
    assert len(node.claim()) == 1
    limited(group, None)
    assert len(node.claim()) == 4


def test_consumers_and_their_leases_count(node: Stepper, time: VirtualTime) -> None:
    create_group("jobs", action={"kind": "pull"}, max_concurrency=2)
    due_timers(5, time, "jobs")
    first = claim("jobs", "a", limit=5, lease=30)
    assert (len(first), len(claim("jobs", "b", limit=5))) == (2, 0)
    commit(first[0].execution, first[0].token)
    assert len(claim("jobs", "b", limit=5)) == 1
    time.advance(60)
    assert len(claim("jobs", "c", limit=5)) == 2, "the leases are over"


def test_another_group_is_not_held_up(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    limited(group, 1)
    factories.group("other")
    due_timers(3, time)
    due_timers(3, time, "other")
    assert [execution.group.name for execution in node.claim()].count("other") == 3


def test_late_fires_follow_the_misfire_policy(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    update_group("work", max_concurrency=1, misfire_policy="skip", misfire_grace=10)
    due_timers(2, time)
    (first,) = node.claim()
    time.advance(11)
    node.run()
    node.finish()
    node.claim()
    (other,) = Timer.objects.exclude(id=first.timer_id)
    assert words_of(other) == ["skipped"]


def test_a_recurring_timer_that_waited_fires_once_for_what_it_missed(
    group: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    limited(group, 1)
    schedule_once("work", "long", at=time.now)
    node.claim()
    timer = schedule_cron("work", "minutely", expression="* * * * *")
    for _ in range(10):
        time.advance(60)
        node.claim()
    node.run()
    node.finish()
    (execution,) = node.claim()
    assert (execution.timer_id, execution.missed_count) == (timer.id, 10)


def test_an_end_wakes_the_workers_of_groups_with_a_limit_only(
    group: TimerGroup, node: Stepper, time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[str] = []
    monkeypatch.setattr("timers.engine.group_limits.wake_workers", lambda: woken.append("woken"))
    due_timers(2, time)
    node.step()
    assert not woken
    limited(group, 1)
    schedule_once("work", "again", after=0)
    node.step()
    assert woken == ["woken"]
    schedule_once("work", "given back", after=0)
    node.claim()
    node.release()
    assert woken == ["woken", "woken"]


@pytest.mark.parametrize("limits", [{"max_concurrency": 1}, {"max_concurrency_per_key": 1}])
@pytest.mark.parametrize("end", ["finish", "release"])
def test_an_end_wakes_the_workers_where_the_group_was_limited_after_the_claim(
    group: TimerGroup, node: Stepper, time: VirtualTime, monkeypatch: pytest.MonkeyPatch, limits: Any, end: str
) -> None:
    woken: list[str] = []
    due_timers(2, time)
    node.claim()
    fire_timer("work", "0", payload=1, overlap="allow")
    node.claim()
    update_group("work", **limits)
    monkeypatch.setattr("timers.engine.group_limits.wake_workers", lambda: woken.append("woken"))
    if end == "finish":
        node.run()
        node.finish()
    else:
        node.release()
    assert woken
    assert not Claim.objects.exists()
    assert Attempt.objects.filter(outcome="succeeded").count() == (3 if end == "finish" else 0)


def test_consumers_commit_what_they_claimed_before_a_limit(node: Stepper, time: VirtualTime) -> None:
    create_group("jobs", action={"kind": "pull"})
    due_timers(3, time, "jobs")
    first, second, _ = claim("jobs", "a", limit=3)
    update_group("jobs", max_concurrency=2)
    assert commit(first.execution, first.token).outcome == "succeeded"
    assert discard(second.execution, second.token).outcome == "discarded"
    assert claimed(TimerGroup.objects.get(name="jobs")) == 1


def test_what_is_rescued_after_a_limit_was_set_goes_on(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    due_timers(2, time)
    dead = Stepper(time)
    assert len(dead.claim()) == 2
    limited(group, 1)
    node.rescue(dead)
    time.advance(3600)
    assert len(node.claim()) == 1


@pytest.mark.parametrize("value", [0, -1])
def test_a_limit_of_nothing_is_refused(group: TimerGroup, value: int) -> None:
    with pytest.raises(InvalidRequest, match="to run nothing, pause the group"):
        limited(group, value)


def test_groups_without_limits_cost_no_statement(
    group: TimerGroup, node: Stepper, time: VirtualTime, django_assert_num_queries: Any
) -> None:
    due_timers(2, time)
    node.claim(limit=1)
    with django_assert_num_queries(7):  # two looks; savepoint, lock, move, claim, end of the savepoint
        node.claim(limit=1)


@pytest.mark.usefixtures("committed")
def test_a_worker_does_not_wait_for_a_claim_under_way(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    limited(group, 5)
    due_timers(5, time)
    with OtherSession(time.now) as session:
        session.begin()
        session.run(lambda: Stepper(time).claim(limit=1))
        assert node.claim() == []
        session.commit()
    assert len(node.claim()) == 4


@pytest.mark.usefixtures("committed")
def test_a_consumer_waits_for_a_claim_under_way(node: Stepper, time: VirtualTime) -> None:
    create_group("jobs", action={"kind": "pull"}, max_concurrency=3)
    due_timers(5, time, "jobs")
    with OtherSession(time.now) as session, OtherSession(time.now) as other:
        session.begin()
        session.run(lambda: claim("jobs", "a", limit=2))
        waiting = other.start(lambda: claim("jobs", "b", limit=5))
        other.waits_for_a_lock()
        session.commit()
        assert len(waiting.result(timeout=20)) == 1


@pytest.mark.usefixtures("committed")
def test_timers_are_created_while_a_claim_is_under_way(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    limited(group, 5)
    due_timers(1, time)
    with OtherSession(time.now) as session:
        session.begin()
        session.run(lambda: Stepper(time).claim())
        assert schedule_once("work", "new", after=1).name == "new"
        session.commit()


@pytest.mark.usefixtures("committed")
def test_eight_nodes_never_hold_more_than_the_limit(
    group: TimerGroup, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    """Over 8 threads, through deaths and rescues: counted at each claim, after its commit, and by what runs."""
    limited(group, 5)
    running, most, lock = [0], [0], Lock()

    def handler(fire: Fire) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.002)")
        with lock:
            running[0] -= 1

    handlers.add("tests.noop", handler)
    due_timers(120, time)
    nodes = [Stepper(time) for _ in range(8)]

    def work(number: int) -> int:
        time.show()
        seen = idle = 0
        for turn in range(400):
            came = nodes[number].claim(limit=3)
            seen = max(seen, claimed(group))
            if came and (turn + number) % 7 == 0:
                # It dies; its successor takes over what it held.
                dead, nodes[number] = nodes[number], Stepper(time)
                nodes[number].rescue(dead)
                Waiting.objects.filter(state="ready").update(available_at=time.now - timedelta(seconds=1))
                continue
            nodes[number].run()
            nodes[number].finish()
            idle = 0 if came else idle + 1
            if idle > 40 and not Timer.objects.filter(state="active").exists():
                break
        return seen

    results = in_threads(8, work)
    assert [result for result in results if isinstance(result, Exception)] == []
    assert max(int(str(result)) for result in results) <= 5
    assert 1 <= most[0] <= 5
    while nodes[0].step():
        pass
    assert Attempt.objects.filter(outcome="succeeded").count() == 120
