from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, words_of
from timers.domain.execution_id import execution_id
from timers.engine.execution import ServedGroup
from timers.engine.fire import fire_due
from timers.models import Attempt, Claim, Timer, TimerGroup
from timers.schedules.instant import to_microseconds
from timers.scheduling import schedule_cron, schedule_fixed_delay, schedule_fixed_rate, schedule_once
from timers.testing import START, Stepper, VirtualTime


def seconds_after_start(instants: list[datetime]) -> list[float]:
    return [(instant - START).total_seconds() for instant in instants]


def test_a_one_shot_fires_once_and_is_finished(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    timer = schedule_once("work", "once", after=10, payload={"to": "bob"})
    node.time.advance(10)
    node.until_idle()
    node.play(seconds=100, every=10)
    timer.refresh_from_db()
    assert (timer.state, timer.next_fire_at, timer.fire_count) == ("finished", None, 1)
    assert timer.last_fire_at == START + timedelta(seconds=10)
    assert [fire.payload for fire in handlers.calls] == [{"to": "bob"}]
    assert words_of(timer) == ["succeeded"]
    assert not Claim.objects.exists()


def test_nothing_is_fired_before_its_instant(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    schedule_once("work", "once", after=10)
    node.time.advance(9.999999)
    assert node.claim() == []
    node.time.advance(0.000001)
    assert len(node.claim()) == 1


def test_a_fire_tells_its_handler_which_occurrence_it_is(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = schedule_once("work", "once", after=10, time_zone="Europe/Berlin", payload=[1, None])
    node.time.advance(10.25)
    node.until_idle()
    (fire,) = handlers.calls
    id_ = execution_id(to_microseconds(START + timedelta(seconds=10)), timer.id)
    assert fire.envelope() == {
        "Group": "work",
        "Name": "once",
        "NumberOfTry": 1,
        "FireTime": "2027-03-01T13:00:10.250+01:00",
        "ScheduledFireTime": "2027-03-01T13:00:10+01:00",
        "Payload": [1, None],
        "ExecutionId": id_,
        "Fence": fire.fence,
        "MissedCount": 0,
        "Origin": "schedule",
        "Node": "node-a",
    }
    assert finals_of(timer)[0].fence == fire.fence
    assert str(finals_of(timer)[0].id) == id_


def test_fires_of_100_ms_have_exact_nominal_instants_and_one_final_row_each(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_fixed_rate("work", "rate", period=0.1)
    # Each look comes a little later than the one before, as real ones do: no drift may come of it.
    for number in range(1, 301):
        node.time.set(START + timedelta(milliseconds=100 * number, microseconds=(number * 37) % 20_000))
        node.step()
    finals = finals_of(timer)
    assert [row.outcome for row in finals] == ["succeeded"] * 300
    assert [row.scheduled_for for row in finals] == [START + timedelta(milliseconds=100) * n for n in range(1, 301)]
    timer.refresh_from_db()
    assert (timer.fire_count, timer.next_fire_at) == (300, START + timedelta(milliseconds=100) * 301)


def test_a_fixed_delay_counts_from_the_end_of_each_run(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = schedule_fixed_delay("work", "delay", delay=10)
    handlers.add("tests.noop", lambda fire: node.time.advance(3))
    for _ in range(3):
        node.time.advance(10)
        node.until_idle()
    assert seconds_after_start([row.scheduled_for for row in finals_of(timer)]) == [10, 23, 36]
    timer.refresh_from_db()
    assert timer.next_fire_at == START + timedelta(seconds=49)
    assert (timer.state, timer.open_execution, timer.last_outcome) == ("active", None, "succeeded")


def test_a_fixed_delay_is_not_due_again_while_it_runs(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_fixed_delay("work", "delay", delay=10)
    node.time.advance(10)
    (execution,) = node.claim()
    timer.refresh_from_db()
    assert (timer.state, timer.next_fire_at) == ("active", None)
    assert str(timer.open_execution) == execution.id
    node.time.advance(1000)
    assert node.claim() == []


def test_cron_fires_at_the_wall_clock_of_its_zone_across_a_clock_change(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    # Berlin went from 02:00 to 03:00 on 2027-03-28.
    node.time.set(datetime.fromisoformat("2027-03-26T12:00:00+00:00"))
    schedule_cron("work", "nightly", expression="30 4 * * *", time_zone="Europe/Berlin")
    node.play(seconds=3 * 86_400, every=1800)
    assert [fire.scheduled_fire_time.isoformat() for fire in handlers.calls] == [
        "2027-03-27T04:30:00+01:00",
        "2027-03-28T04:30:00+02:00",
        "2027-03-29T04:30:00+02:00",
    ]


def test_nothing_fires_after_end_at(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_fixed_rate("work", "rate", period=10, end_at=START + timedelta(seconds=30))
    node.play(seconds=100, every=5)
    assert seconds_after_start([row.scheduled_for for row in finals_of(timer)]) == [10, 20, 30]
    timer.refresh_from_db()
    assert (timer.state, timer.next_fire_at, timer.open_execution) == ("finished", None, None)


def test_max_fires_finishes_the_timer(group: TimerGroup, node: Stepper) -> None:
    rate = schedule_fixed_rate("work", "rate", period=10, max_fires=3)
    delay = schedule_fixed_delay("work", "delay", delay=10, max_fires=2)
    node.play(seconds=100, every=5)
    for timer, fires in ((rate, 3), (delay, 2)):
        timer.refresh_from_db()
        assert words_of(timer) == ["succeeded"] * fires
        assert (timer.state, timer.fire_count, timer.next_fire_at) == ("finished", fires, None)


def test_start_at_anchors_a_fixed_rate(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_fixed_rate("work", "rate", period=60, start_at=START + timedelta(seconds=7))
    node.play(seconds=130, every=1)
    assert seconds_after_start([row.scheduled_for for row in finals_of(timer)]) == [7, 67, 127]


def test_a_timer_is_claimed_ahead_but_not_run_before_its_instant(group: TimerGroup, time: VirtualTime) -> None:
    node = Stepper(time, look_ahead=1.5)
    schedule_once("work", "once", after=10)
    node.time.advance(8.4)
    assert node.claim() == []
    node.time.advance(0.1)
    (execution,) = node.claim()
    assert execution.available_us == to_microseconds(START + timedelta(seconds=10))
    assert node.run() == []
    node.time.advance(1.5)
    assert len(node.run()) == 1


def test_a_timer_is_not_claimed_ahead_while_its_execution_is_open(group: TimerGroup, time: VirtualTime) -> None:
    node = Stepper(time, look_ahead=1.5)
    timer = schedule_fixed_rate("work", "rate", period=1)
    node.time.advance(1)
    (first,) = node.claim()
    assert node.claim() == []
    group_now = ServedGroup.of(group)
    ahead_us = node.time.us + 1_500_000
    assert fire_due(node.holder, group_now, 0, now_us=node.time.us, horizon_us=ahead_us, limit=10).rows == 0
    node.time.advance(0.9)
    assert node.claim() == []
    # It ends in time: the next instant is claimed ahead after all, and nothing was skipped.
    node.run()
    node.finish()
    (second,) = node.claim()
    assert second.scheduled_us - first.scheduled_us == 1_000_000
    assert words_of(timer) == ["succeeded"]


def test_a_timer_with_overlaps_allowed_is_claimed_ahead_beside_its_open_execution(
    time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    factories.group("work", overlap_policy="allow")
    node = Stepper(time, look_ahead=1.5)
    timer = schedule_fixed_rate("work", "rate", period=1)
    node.time.advance(1)
    assert len(node.claim()) == 1
    assert len(node.claim()) == 1
    timer.refresh_from_db()
    assert timer.open_execution is None


@pytest.mark.parametrize("state", ["paused", "finished", "cancelled"])
def test_only_active_timers_fire(group: TimerGroup, node: Stepper, state: str) -> None:
    timer = schedule_fixed_rate("work", "rate", period=10)
    Timer.objects.filter(id=timer.id).update(state=state)
    node.time.advance(10)
    assert node.claim() == []


def test_a_paused_group_and_one_of_another_partition_or_role_is_not_served(
    time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    factories.group("paused", state="paused")
    factories.group("elsewhere", partition="other")
    factories.group("demanding", required_roles=["gpu", "big"])
    for name in ("paused", "elsewhere", "demanding"):
        schedule_once(name, "once", after=1)
    time.advance(1)
    assert Stepper(time).claim() == []
    assert Stepper(time, roles=["gpu"]).claim() == []
    assert [e.group.name for e in Stepper(time, partition="other").claim()] == ["elsewhere"]
    assert [e.group.name for e in Stepper(time, roles=["big", "gpu", "more"]).claim()] == ["demanding"]


def test_timers_of_all_shards_are_found(time: VirtualTime, handlers: TemporaryHandlers) -> None:
    factories.group("work", shards=7)
    for number in range(50):
        schedule_once("work", f"once-{number}", after=1)
    assert len(set(Timer.objects.values_list("shard", flat=True))) == 7
    time.advance(1)
    node = Stepper(time)
    assert len({execution.timer_id for execution in node.claim()}) == 50


def test_what_needs_a_handler_that_only_other_nodes_know_is_left_for_them(
    time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.new")
    factories.group("old")
    factories.group("new", action={"handler": "tests.new"})
    schedule_once("old", "own", after=1)
    schedule_once("old", "other", after=1, handler="tests.new")
    schedule_once("new", "group's", after=1)
    schedule_once("new", "back", after=1, handler="tests.noop")
    time.advance(1)
    node = Stepper(time)
    assert {execution.name for execution in node.claim(leave=["tests.new"])} == {"own", "back"}
    assert {execution.name for execution in node.claim()} == {"other", "group's"}


@pytest.mark.parametrize("kind", ["one-shots", "recurring", "mixed with skips"])
def test_the_number_of_statements_is_the_same_whatever_the_batch(group: TimerGroup, node: Stepper, kind: str) -> None:
    def statements(timers: int) -> int:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM timers_timer")
        for number in range(timers):
            if kind == "one-shots":
                schedule_once("work", f"{number}", after=1)
            else:
                schedule_fixed_rate("work", f"{number}", period=1)
        if kind == "mixed with skips":
            Timer.objects.filter(name__lt="5").update(open_execution=execution_id(1, 1))
        node.time.advance(1)
        with CaptureQueriesContext(connection) as queries:
            fired = fire_due(
                node.holder, ServedGroup.of(group), 0, now_us=node.time.us, horizon_us=node.time.us, limit=1000
            )
        assert len(fired.executions) + fired.skipped == timers
        return len(queries)

    few, many = statements(10), statements(100)
    assert few == many <= 7


@pytest.mark.parametrize("off", ["hashjoin", "mergejoin", "nestloop", "indexscan", "seqscan", "bitmapscan"])
def test_the_limit_is_obeyed_whatever_the_planner_chooses(group: TimerGroup, node: Stepper, off: str) -> None:
    for number in range(30):
        schedule_once("work", f"{number}", after=1)
    node.time.advance(1)
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL enable_{off} = off")
    assert [len(node.claim(limit=5)) for _ in range(7)] == [5, 5, 5, 5, 5, 5, 0]


def test_the_oldest_are_fired_first(group: TimerGroup, node: Stepper) -> None:
    for number in (3, 1, 2):
        schedule_once("work", f"{number}", after=number)
    node.time.advance(10)
    assert [execution.name for execution in node.claim(limit=2)] == ["1", "2"]


def test_one_claim_row_holds_a_whole_batch_and_fences_it(group: TimerGroup, node: Stepper) -> None:
    for number in range(20):
        schedule_once("work", f"{number}", after=1)
    node.time.advance(1)
    executions = node.claim()
    claim = Claim.objects.get()
    assert {execution.fence for execution in executions} == {claim.id}
    assert sorted(map(str, claim.executions)) == sorted(execution.id for execution in executions)
    assert (claim.node_id, claim.worker, claim.worker_pid, claim.details) == (node.node.id, 1, 4711, None)
    assert not Attempt.objects.exists()
