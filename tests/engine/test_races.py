"""Two sessions want the same rows: one holds them, and the other's answer is asserted."""

from __future__ import annotations

from collections import Counter

import pytest
from django.db import connection

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, words_of
from tests.support.sessions import OtherSession, in_threads
from timers.control.executions import cancel_waiting, dismiss_failed, retry_failed
from timers.engine.execution import Holder
from timers.engine.finish import finish
from timers.engine.rescue import rescue_node
from timers.exceptions import NotAllowedNow
from timers.models import Attempt, Claim, Timer, TimerGroup, Waiting
from timers.scheduling import (
    cancel_timer,
    delete_group,
    fire_timer,
    pause_timer,
    schedule_fixed_rate,
    schedule_many,
    schedule_once,
)
from timers.testing import Stepper, VirtualTime

pytestmark = pytest.mark.usefixtures("committed")


def due_timers(number: int, time: VirtualTime) -> None:
    schedule_many([{"kind": "once", "group": "work", "name": f"{n}", "after": 1} for n in range(number)])
    time.advance(1)


def test_two_claimers_never_get_the_same_timer_and_never_wait_for_each_other(
    group: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    due_timers(20, time)
    other = Stepper(time, "node-b")
    with OtherSession(time.now) as session:
        session.begin()
        theirs = {execution.id for execution in session.run(lambda: other.claim(limit=12))}
        ours = {execution.id for execution in node.claim(limit=12)}
        assert (len(theirs), len(ours)) == (12, 8)
        assert not theirs & ours
        session.rollback()
    # What was not committed is due as before.
    assert len(node.claim()) == 12


def test_two_claimers_never_get_the_same_ready_execution(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    for ago in range(20):
        factories.waiting(factories.timer(in_group=group), "ready", ago=ago + 1)
    other = Stepper(time, "node-b")
    with OtherSession(time.now) as session:
        session.begin()
        theirs = {execution.id for execution in session.run(lambda: other.claim(limit=12))}
        ours = {execution.id for execution in node.claim(limit=12)}
        assert (len(theirs), len(ours)) == (12, 8)
        assert not theirs & ours
        session.commit()
    assert not Waiting.objects.exists()


def test_eight_nodes_run_each_of_a_thousand_timers_once(
    group: TimerGroup, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    due_timers(1000, time)
    nodes = [Stepper(time) for _ in range(8)]

    def work(number: int) -> int:
        time.show()
        done = 0
        while nodes[number].claim(limit=20):
            done += len(nodes[number].run())
            nodes[number].finish()
        return done

    assert sum(int(str(done)) for done in in_threads(8, work)) == 1000
    assert set(Counter(fire.name for fire in handlers.calls).values()) == {1}
    assert Counter(Attempt.objects.values_list("outcome", flat=True)) == {"succeeded": 1000}
    assert not Claim.objects.exists()


def test_a_timer_that_is_just_being_paused_is_not_fired(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    due_timers(2, time)
    with OtherSession(time.now) as session:
        session.begin()
        session.run(lambda: pause_timer("work", "0"))
        assert [execution.name for execution in node.claim()] == ["1"]
        session.commit()
    assert node.claim() == []


def test_a_pause_waits_for_a_fire_under_way_and_undoes_it(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    timer = schedule_fixed_rate("work", "rate", period=10)
    time.advance(10)
    with OtherSession(time.now) as session:
        session.begin()
        session.run(node.claim)
        with OtherSession(time.now) as person:
            paused = person.start(lambda: pause_timer("work", "rate"))
            person.waits_for_a_lock()
            session.commit()
            assert paused.result(timeout=10).state == "paused"
    node.run()
    node.finish()
    timer.refresh_from_db()
    assert (timer.state, timer.fire_count, timer.open_execution) == ("paused", 0, None)
    assert words_of(timer) == []


def test_a_cancel_ends_what_a_fire_under_way_has_just_claimed(
    group: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    schedule_fixed_rate("work", "rate", period=10)
    time.advance(10)
    with OtherSession(time.now) as session:
        session.begin()
        session.run(node.claim)
        with OtherSession(time.now) as person:
            cancelled = person.start(lambda: cancel_timer("work", "rate"))
            person.waits_for_a_lock()
            session.commit()
            assert (cancelled.result(timeout=10).in_flight, cancelled.result().cancelled) == ([], 1)


def test_a_timer_that_is_just_being_cancelled_is_not_fired(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    due_timers(1, time)
    with OtherSession(time.now) as session:
        session.begin()
        assert session.run(lambda: cancel_timer("work", "0")).in_flight == []
        assert node.claim() == []
        session.commit()
    assert node.claim() == []
    assert not Claim.objects.exists()


def test_a_timer_that_was_committed_late_is_found_below_everything_fired_since(
    group: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    with OtherSession(time.now) as session:
        session.begin()
        session.run(lambda: schedule_once("work", "late", after=1))
        due_timers(3, time)
        time.advance(100)
        schedule_once("work", "newer", after=0)
        assert len(node.claim()) == 4
        session.commit()
    assert [execution.name for execution in node.claim()] == ["late"]


def test_a_finish_waits_for_a_rescue_under_way_and_is_refused(
    group: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    due_timers(1, time)
    node.claim()
    outcomes = node.run()
    with OtherSession(time.now) as session:
        session.begin()
        assert session.run(lambda: rescue_node(node.node.id, time.us, "node-a died")).total == 1
        with OtherSession(time.now) as worker:
            finished = worker.start(lambda: finish(node.holder, outcomes, time.us))
            worker.waits_for_a_lock()
            session.commit()
            answer = finished.result(timeout=10)
    assert (answer.verdicts, answer.refused) == ([], outcomes)
    assert list(Attempt.objects.values_list("outcome", flat=True)) == ["lost"]
    assert Waiting.objects.count() == 1


def test_a_rescue_waits_for_a_finish_under_way_and_takes_nothing(
    group: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    due_timers(1, time)
    node.claim()
    outcomes = node.run()
    with OtherSession(time.now) as session:
        session.begin()
        assert len(session.run(lambda: finish(node.holder, outcomes, time.us)).verdicts) == 1
        with OtherSession(time.now) as judge:
            rescued = judge.start(lambda: rescue_node(node.node.id, time.us, "node-a died"))
            judge.waits_for_a_lock()
            session.commit()
            assert rescued.result(timeout=10).total == 0
    assert list(Attempt.objects.values_list("outcome", flat=True)) == ["succeeded"]
    assert not Waiting.objects.exists()


def test_two_rescuers_take_each_execution_once(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    due_timers(100, time)
    for _ in range(25):
        node.claim(limit=4)

    def rescue(number: int) -> int:
        time.show()
        return rescue_node(node.node.id, time.us, "node-a died").total

    assert sum(int(str(total)) for total in in_threads(4, rescue)) == 100
    assert Waiting.objects.count() == Attempt.objects.filter(outcome="lost").count() == 100
    assert not Claim.objects.exists()


def test_finishes_and_rescues_at_once_give_each_execution_one_fate(
    group: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    schedule_many([{"kind": "fixed_rate", "group": "work", "name": f"{n}", "period": 10} for n in range(200)])
    time.advance(10)
    for _ in range(20):
        node.claim(limit=10)
    outcomes = node.run()

    def act(number: int) -> int:
        time.show()
        if number == 0:
            return rescue_node(node.node.id, time.us, "node-a died").total
        left, done = outcomes[number - 1 :: 3], 0
        while left:
            finished = finish(node.holder, left[:20], time.us)
            done += len(finished.verdicts)
            left = left[20:] + finished.deferred
        return done

    assert sum(int(str(number)) for number in in_threads(4, act)) == 200
    ended = Attempt.objects.filter(outcome="succeeded").count()
    assert ended + Waiting.objects.count() == 200
    assert ended + Attempt.objects.filter(outcome="lost").count() == 200
    assert Timer.objects.filter(open_execution=None).count() == ended
    assert not Claim.objects.exists()


def test_an_outcome_whose_timer_someone_has_locked_is_deferred_and_the_others_are_written(
    group: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    for name in ("edited", "free"):
        schedule_fixed_rate("work", name, period=10)
    time.advance(10)
    node.claim()
    node.run()
    with OtherSession(time.now) as session:
        session.begin()
        session.run(lambda: pause_timer("work", "edited"))
        finished = node.finish()
        assert [outcome.execution.name for outcome, _ in finished.verdicts] == ["free"]
        assert [outcome.execution.name for outcome in finished.deferred] == ["edited"]
        session.commit()
    assert len(node.finish().verdicts) == 1
    edited = Timer.objects.get(name="edited")
    assert (edited.state, edited.open_execution) == ("paused", None)


def test_two_people_decide_on_one_failed_execution_and_one_of_them_wins(group: TimerGroup, time: VirtualTime) -> None:
    waiting = factories.waiting(factories.timer(in_group=group))

    def decide(number: int) -> str:
        if number % 2:
            retry_failed(str(waiting.id))
            return "retried"
        return "dismissed" if dismiss_failed([str(waiting.id)]) else "too late"

    answers = in_threads(6, decide)
    won = [answer for answer in answers if answer in ("retried", "dismissed")]
    assert len(won) == 1
    assert Waiting.objects.filter(state="ready").count() == (won == ["retried"])
    assert Attempt.objects.count() == (won == ["dismissed"])


def test_a_claim_and_a_cancel_of_one_ready_execution_have_one_winner(
    group: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    timer = schedule_fixed_rate("work", "rate", period=1000)
    for number in range(10):
        fire_timer("work", "rate", delay=number / 1000, overlap="allow")
    ids = [str(id_) for id_ in Waiting.objects.values_list("id", flat=True)]
    time.advance(10)

    def act(number: int) -> int:
        time.show()
        return cancel_waiting(ids) if number else len(node.claim())

    assert sum(int(str(answer)) for answer in in_threads(2, act)) == 10
    node.run()
    node.finish()
    assert len(finals_of(timer)) == 10
    assert not Waiting.objects.exists()
    assert not Claim.objects.exists()


def test_a_group_is_not_deleted_under_a_fire(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    schedule_fixed_rate("work", "rate", period=10)
    time.advance(10)
    with OtherSession(time.now) as session:
        session.begin()
        session.run(node.claim)
        with OtherSession(time.now) as person:
            deleted = person.start(lambda: delete_group("work", force=True))
            person.waits_for_a_lock()
            session.commit()
            with pytest.raises(NotAllowedNow, match="are claimed"):
                deleted.result(timeout=10)
    assert Timer.objects.count() == 1


def test_a_finish_holds_the_claim_until_it_commits(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    due_timers(1, time)
    node.claim()
    outcomes = node.run()
    with OtherSession(time.now) as session:
        session.begin()
        session.run(lambda: finish(node.holder, outcomes, time.us))
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM timers_claim FOR UPDATE SKIP LOCKED")
            assert cursor.fetchall() == []
        session.rollback()
    # Rolled back, nothing of it was: the same outcomes are recorded by a repeat.
    assert not Attempt.objects.exists()
    assert len(finish(node.holder, outcomes, time.us).verdicts) == 1


def test_a_stranger_with_the_same_fence_is_refused_while_the_owner_goes_on(
    group: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    due_timers(1, time)
    node.claim()
    outcomes = node.run()

    def act(number: int) -> int:
        holder = node.holder if number == 0 else Holder(node.node.id + number, "stranger", 1, 1)
        return len(finish(holder, outcomes, time.us).verdicts)

    assert in_threads(3, act) == [1, 0, 0]
