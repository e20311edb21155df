"""The engine on the clock of a sandbox, in the past and in the future: the same rows, the same code, another time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, rows_of, words_of
from timers import clock
from timers.control.executions import cancel_waiting, retry_failed
from timers.control.subscriptions import create_subscription
from timers.engine.group_clock import GroupClock
from timers.engine.outcome import counted_as
from timers.engine.partitions import delete_stragglers
from timers.engine.stats import MinuteCount
from timers.handlers import Discard, Retry
from timers.insights import counts
from timers.insights.doctor import overdue
from timers.insights.groups import groups as group_views
from timers.insights.timers import next_fires, soonest
from timers.models import Attempt, Timer, Waiting
from timers.scheduling import (
    advance_clock,
    backfill_timer,
    create_sandbox,
    fire_timer,
    pause_timer,
    run_clock,
    schedule_cron,
    schedule_fixed_delay,
    schedule_fixed_rate,
    schedule_once,
)
from timers.testing import Stepper, VirtualTime, live_through
from timers.worker.minute_stats import MinuteStats

STARTS = {"in the past": datetime(2020, 2, 28, 12, tzinfo=UTC), "in the future": datetime(2028, 2, 28, 12, tzinfo=UTC)}
RETRY = {"min_backoff": 120, "max_backoff": 600, "max_retries": 5}


@pytest.fixture(params=list(STARTS.values()), ids=list(STARTS))
def start(request: pytest.FixtureRequest, time: VirtualTime, handlers: TemporaryHandlers) -> datetime:
    """A sandbox `trial` stands at this instant."""
    at: datetime = request.param
    create_sandbox("trial", at, action={"handler": "tests.noop"}, retry=RETRY)
    return at


def minutes(start: datetime, *numbers: float) -> list[datetime]:
    return [start + timedelta(minutes=number) for number in numbers]


def test_normal_groups_have_the_database_clock() -> None:
    plain = GroupClock()

    assert [plain.at(5), plain.horizon(5, 9)] == [5, 9]
    assert not plain.sandbox


def test_a_nightly_timer_fires_each_night_of_the_sandbox(
    start: datetime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = schedule_cron("trial", "nightly", expression="30 1 * * *")

    assert live_through("trial", by="P3D", work=node.until_idle) == start + timedelta(days=3)

    nights = [start.replace(hour=1, minute=30) + timedelta(days=day) for day in (1, 2, 3)]
    assert [(fire.scheduled_fire_time, fire.fire_time) for fire in handlers.calls] == [(at, at) for at in nights]
    assert [
        (row.scheduled_for, row.claimed_at, row.started_at, row.finished_at, row.outcome) for row in finals_of(timer)
    ] == [(at, at, at, at, "succeeded") for at in nights]


def test_nothing_fires_while_only_real_time_passes(
    start: datetime, time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("real")
    schedule_fixed_rate("trial", "in the sandbox", period=60)
    schedule_fixed_rate("real", "outside", period=60)

    node.advance(minutes=3)

    assert [fire.name for fire in handlers.calls] == ["outside"] * 3


def test_a_clock_that_runs_fires_as_time_passes(start: datetime, node: Stepper, handlers: TemporaryHandlers) -> None:
    schedule_fixed_rate("trial", "minutely", period=60)
    run_clock("trial")

    node.advance(minutes=3)

    assert [fire.fire_time for fire in handlers.calls] == minutes(start, 1, 2, 3)


def test_a_sandbox_is_not_claimed_ahead(start: datetime, time: VirtualTime) -> None:
    node = Stepper(time, look_ahead=1.5)
    factories.group("real")
    for group in ("trial", "real"):
        schedule_once(group, f"in {group}", after=1)
    run_clock("trial")

    assert [execution.name for execution in node.claim()] == ["in real"]

    time.advance(1)
    (execution,) = node.claim()
    assert execution.start_us == time.us
    assert len(node.run()) == 2


def test_a_jump_is_a_downtime(start: datetime, node: Stepper, handlers: TemporaryHandlers) -> None:
    schedule_fixed_rate("trial", "hourly", period=3600)

    advance_clock("trial", by="P3D", jump=True)
    node.until_idle()

    (fire,) = handlers.calls
    assert (fire.scheduled_fire_time, fire.missed_count) == (start + timedelta(days=3), 71)


def test_retries_wait_in_the_time_of_the_group(start: datetime, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.script("tests.noop", ValueError("busy"), Retry(after=30), "done")
    timer = schedule_once("trial", "t", after=60)

    live_through("trial", by=3600, work=node.until_idle)

    assert [fire.fire_time for fire in handlers.calls] == minutes(start, 1, 3, 3.5)
    assert words_of(timer) == ["error", "error", "succeeded"]


def test_a_failed_execution_is_retried_by_a_person_at_the_time_of_the_group(
    start: datetime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", ValueError("bad"), "done")
    timer = schedule_once("trial", "t", after=0, overrides={"retry": {"max_retries": 0}})
    node.until_idle()
    advance_clock("trial", by=600)

    retry_failed(str(Waiting.objects.get(state="failed").id))
    node.until_idle()

    assert [row.started_at for row in rows_of(timer)] == minutes(start, 0, 10)


def test_what_is_cancelled_while_it_waits_ends_at_the_time_of_the_group(start: datetime, node: Stepper) -> None:
    timer = schedule_once("trial", "t", after=3600)
    execution = fire_timer("trial", "t", delay=60)

    cancel_waiting([execution])

    assert [row.finished_at for row in finals_of(timer)] == [start]


def test_a_fixed_delay_counts_in_the_time_of_the_group(
    start: datetime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_fixed_delay("trial", "t", delay=600)

    live_through("trial", by=1800, work=node.until_idle)

    assert [fire.fire_time for fire in handlers.calls] == minutes(start, 10, 20, 30)


def test_a_delayed_timer_goes_on_after_its_waiting_execution_was_cancelled(
    start: datetime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", ValueError("busy"), "done")
    timer = schedule_fixed_delay("trial", "t", delay=600)
    live_through("trial", by=630, work=node.until_idle)

    cancel_waiting([str(Waiting.objects.get().id)])

    timer.refresh_from_db()
    assert timer.next_fire_at == start + timedelta(seconds=630 + 600)


def test_a_held_message_is_shown_again_at_the_ticks_of_the_group(
    start: datetime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", Discard(), Discard(), "done")
    schedule_fixed_rate("trial", "held", period=60, until_committed=True)

    live_through("trial", by=600, work=node.until_idle)

    assert [fire.fire_time for fire in handlers.calls] == minutes(start, 1, 2, 3)


def test_what_queues_starts_when_the_one_before_has_ended(
    start: datetime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", Retry(after=90), "done")
    timer = schedule_fixed_rate("trial", "t", period=60, max_fires=2, overrides={"overlap_policy": "queue"})

    live_through("trial", by=600, work=node.until_idle)

    assert [row.started_at for row in finals_of(timer)] == minutes(start, 2.5, 2.5)


def test_waiting_executions_of_a_sandbox_are_created_by_the_database_clock(
    start: datetime, node: Stepper, time: VirtualTime
) -> None:
    schedule_fixed_rate("trial", "queues", period=60, overrides={"overlap_policy": "queue"})
    schedule_cron("trial", "nightly", expression="30 1 * * *")
    create_subscription("trial", "a", mode="broadcast", action={"kind": "pull"})
    for number in (1, 2):
        advance_clock("trial", to=start + timedelta(minutes=number))
        node.claim()
    fire_timer("trial", "nightly", delay=60)
    backfill_timer("trial", "nightly", start=start - timedelta(days=3), end=start)

    rows = list(Waiting.objects.values_list("name", "origin", "created_at", "changed_at"))

    assert {row[:2] for row in rows} == {("queues", "schedule"), ("nightly", "manual"), ("nightly", "backfill")}
    assert {row[2:] for row in rows} == {(time.now, time.now)}


def test_a_past_stretch_is_backfilled_up_to_the_time_of_the_group(
    start: datetime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_cron("trial", "nightly", expression="30 1 * * *")

    asked = backfill_timer("trial", "nightly", start=start - timedelta(days=3), end=start)
    live_through("trial", by=1, work=node.until_idle)

    assert asked.executions == len(handlers.calls) == 3
    assert {fire.fire_time for fire in handlers.calls} == {start}


def test_a_pause_ends_by_the_clock_of_the_group(start: datetime, node: Stepper, handlers: TemporaryHandlers) -> None:
    schedule_fixed_rate("trial", "hourly", period=3600, overrides={"misfire_policy": "skip"})
    pause_timer("trial", "hourly", until=start + timedelta(minutes=150))

    node.advance(days=1)
    assert Timer.objects.get().state == "paused"

    live_through("trial", by="PT4H", work=node.until_idle)
    assert [fire.fire_time for fire in handlers.calls] == minutes(start, 180, 240)


def test_what_a_dead_node_held_goes_on_in_the_time_of_the_group(
    start: datetime, time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = schedule_once("trial", "t", after=0)
    other = Stepper(time)

    node.claim()
    time.advance(30)
    other.rescue(node)
    other.until_idle()

    assert words_of(timer) == ["lost", "succeeded"]
    assert {row.finished_at for row in rows_of(timer)} == {start}


def test_what_is_given_back_is_ready_in_the_time_of_the_group(
    start: datetime, time: VirtualTime, node: Stepper
) -> None:
    timer = schedule_once("trial", "t", after=0)

    node.claim()
    node.release()
    time.advance(5)
    node.until_idle()

    assert [(row.attempt, row.started_at) for row in rows_of(timer)] == [(1, start)]


def test_a_sandbox_is_never_overdue_against_real_time(start: datetime, time: VirtualTime) -> None:
    schedule_once("trial", "t", after=0)
    fire_timer("trial", "t")
    time.advance(days=3000)
    now = clock.now()

    assert [overdue.overdue_timers(now), overdue.overdue_ready(now)] == [[], []]
    assert counts.overdue(now).value == 0
    assert [view.overdue.value for view in group_views(now)] == [0]


def test_what_fires_next_leaves_sandboxes_out_unless_one_is_asked_for(start: datetime) -> None:
    schedule_once("trial", "t", after=60)

    assert soonest() == next_fires() == []
    assert [view.name for view in next_fires(group="trial")] == ["t"]


def test_the_lateness_of_a_sandbox_is_counted_nowhere(
    start: datetime, node: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.group("real")
    for group in ("trial", "real"):
        schedule_once(group, "t", after=0)
    node.claim()
    node.run()
    stats = MinuteStats(node.node.id)
    written: list[MinuteCount] = []
    monkeypatch.setattr("timers.worker.minute_stats.add_minute_counts", lambda _, rows: written.extend(rows))

    for outcome, verdict in node.finish().verdicts:
        stats.count(outcome, counted_as(outcome, verdict))
    stats.flush()

    assert sorted((count.succeeded, sum(count.lateness)) for count in written) == [(1, 0), (1, 1)]


def test_the_history_of_a_sandbox_ages_by_its_own_clock(time: VirtualTime, handlers: TemporaryHandlers) -> None:
    node = Stepper(time)
    create_sandbox("trial", STARTS["in the past"], action={"handler": "tests.noop"}, retention=10)
    schedule_once("trial", "t", after=0)
    node.until_idle()

    delete_stragglers(time.now.date(), 30)
    assert Attempt.objects.count() == 1

    advance_clock("trial", by="P11D")
    delete_stragglers(time.now.date(), 30)
    assert Attempt.objects.count() == 0


def test_a_clock_that_nobody_serves_is_told_of(start: datetime) -> None:
    schedule_once("trial", "t", after=0)

    with pytest.raises(TimeoutError, match=r"'trial' has stood .* due or running there \(1\)\. Does a node serve"):
        live_through("trial", by=60, patience=0.05)
