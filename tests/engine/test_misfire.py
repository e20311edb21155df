"""Fires that come too late: the misfire policies after ten minutes, and after a year, without a node."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, rows_of
from timers.control.calendars import create_calendar
from timers.engine.fired import MAX_ROWS
from timers.models import TimerGroup, Waiting
from timers.scheduling import schedule_cron, schedule_fixed_delay, schedule_fixed_rate, schedule_once
from timers.testing import Stepper, VirtualTime
from timers.testing.virtual_time import START

SECOND = timedelta(seconds=1)


pytestmark = pytest.mark.usefixtures("handlers")


def ten_minutes_down(node: Stepper, **policies: Any) -> Any:
    """A timer of one second that no node looked at for ten minutes."""
    return down(node, 600, **policies)


def down(node: Stepper, seconds: int, **policies: Any) -> Any:
    """A timer of one second that no node looked at for so long."""
    factories.group("work", **policies)
    timer = schedule_fixed_rate("work", "second", period=1)
    node.time.advance(seconds)
    node.until_idle()
    return timer


def test_fire_once_runs_the_latest_and_tells_of_the_599_others(node: Stepper, handlers: TemporaryHandlers) -> None:
    timer = ten_minutes_down(node)
    (fire,) = handlers.calls
    assert (fire.missed_count, fire.scheduled_fire_time) == (599, START + 600 * SECOND)
    assert [(row.outcome, row.missed_count) for row in finals_of(timer)] == [("succeeded", 599)]


@pytest.mark.parametrize(("overlap", "seconds"), [("allow", 600), ("skip", 90), ("queue", 90), ("replace", 90)])
def test_fire_all_runs_each_instant_oldest_first(
    node: Stepper, handlers: TemporaryHandlers, overlap: str, seconds: int
) -> None:
    timer = down(node, seconds, misfire_policy="fire_all", overlap_policy=overlap)
    assert [row.outcome for row in finals_of(timer)] == ["succeeded"] * seconds
    assert [fire.scheduled_fire_time for fire in handlers.calls] == [START + n * SECOND for n in range(1, seconds + 1)]
    assert {fire.missed_count for fire in handlers.calls} == {0}
    timer.refresh_from_db()
    following = START + (seconds + 1) * SECOND
    assert (timer.fire_count, timer.open_execution, timer.next_fire_at) == (seconds, None, following)


@pytest.mark.parametrize("overlap", ["skip", "queue", "replace"])
def test_what_is_made_up_for_runs_one_after_the_other(node: Stepper, overlap: str) -> None:
    factories.group("work", misfire_policy="fire_all", overlap_policy=overlap)
    schedule_fixed_rate("work", "second", period=1)
    node.time.advance(minutes=10)
    for _ in range(20):
        assert len(node.claim()) == 1
        node.run()
        node.finish()
    assert Waiting.objects.filter(state="queued").count() == 579


def test_skip_runs_nothing_and_keeps_the_count(node: Stepper, handlers: TemporaryHandlers) -> None:
    timer = ten_minutes_down(node, misfire_policy="skip")
    assert handlers.calls == []
    (row,) = finals_of(timer)
    assert (row.outcome, row.reason, row.missed_count) == ("skipped", "misfire", 599)
    node.advance(1)
    assert [fire.scheduled_fire_time for fire in handlers.calls] == [START + 601 * SECOND]


def test_a_timer_may_have_another_policy_than_its_group(node: Stepper, handlers: TemporaryHandlers) -> None:
    factories.group("work", misfire_policy="skip")
    schedule_fixed_rate("work", "own", period=1, overrides={"misfire_policy": "fire_all", "max_catchup": 3})
    schedule_fixed_rate("work", "the group's", period=1)
    node.time.advance(minutes=10)
    node.until_idle()
    assert [fire.name for fire in handlers.calls] == ["own"] * 3


def test_what_is_beyond_max_catchup_is_one_row_with_its_count(node: Stepper, handlers: TemporaryHandlers) -> None:
    timer = ten_minutes_down(node, misfire_policy="fire_all", max_catchup=100)
    assert len(handlers.calls) == 100
    assert handlers.calls[-1].scheduled_fire_time == START + 100 * SECOND
    rest = finals_of(timer)[-1]
    assert (rest.outcome, rest.reason, rest.missed_count) == ("skipped", "beyond max_catchup (100)", 499)


@pytest.mark.parametrize(
    ("policy", "runs", "rows"),
    [
        ("fire_once", [600], [("skipped", "expired", 569), ("succeeded", None, 29)]),
        ("skip", [], [("skipped", "expired", 569), ("skipped", "misfire", 29)]),
    ],
)
def test_what_is_later_than_max_lateness_expires_whatever_the_policy(
    node: Stepper, handlers: TemporaryHandlers, policy: str, runs: list[int], rows: list[Any]
) -> None:
    timer = ten_minutes_down(node, misfire_policy=policy, misfire_grace=5, max_lateness=29.5)
    assert [(fire.scheduled_fire_time - START).seconds for fire in handlers.calls] == runs
    assert [(row.outcome, row.reason, row.missed_count) for row in finals_of(timer)] == rows


@pytest.mark.parametrize(
    ("policies", "ends"),
    [
        ({"misfire_policy": "fire_once"}, ["succeeded"]),
        ({"misfire_policy": "fire_all"}, ["succeeded"]),
        ({"misfire_policy": "skip"}, ["skipped"]),
        ({"max_lateness": 30}, ["skipped"]),
        ({"misfire_policy": "skip", "misfire_grace": 900}, ["succeeded"]),
    ],
)
def test_a_one_shot_follows_the_policies_too(
    node: Stepper, handlers: TemporaryHandlers, policies: dict[str, Any], ends: list[str]
) -> None:
    factories.group("work", **policies)
    timer = schedule_once("work", "once", after=1)
    node.time.advance(minutes=10)
    node.until_idle()
    assert [row.outcome for row in finals_of(timer)] == ends
    timer.refresh_from_db()
    assert (timer.state, timer.next_fire_at) == ("finished", None)


def test_a_delay_that_was_skipped_counts_from_now(node: Stepper, handlers: TemporaryHandlers) -> None:
    factories.group("work", misfire_policy="skip")
    timer = schedule_fixed_delay("work", "delay", delay=5)
    node.time.advance(minutes=10)
    node.until_idle()
    timer.refresh_from_db()
    assert timer.next_fire_at == node.time.now + 5 * SECOND
    node.advance(5)
    assert len(handlers.calls) == 1


def test_a_limit_of_fires_holds_for_what_is_made_up_for(node: Stepper, handlers: TemporaryHandlers) -> None:
    factories.group("work", misfire_policy="fire_all")
    timer = schedule_fixed_rate("work", "second", period=1, max_fires=7)
    node.time.advance(minutes=10)
    node.until_idle()
    timer.refresh_from_db()
    assert (len(handlers.calls), timer.state) == (7, "finished")


@pytest.mark.parametrize("overlap", ["skip", "allow"])
def test_a_year_of_minutes_costs_a_bounded_number_of_rows_and_holds_up_nobody(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers, overlap: str
) -> None:
    factories.group("work", misfire_policy="fire_all", overlap_policy=overlap)
    factories.group("others")
    minutely = schedule_cron("work", "minutely", expression="* * * * *", time_zone="Europe/Berlin")
    schedule_once("others", "on time", at=time.now + timedelta(days=365))
    time.advance(days=365)
    with CaptureQueriesContext(connection) as queries:
        claimed = node.claim()
    assert "on time" in {execution.name for execution in claimed}
    assert len(queries) < 20
    assert len(claimed) - 1 + Waiting.objects.filter(state="queued").count() == 1000
    rest = finals_of(minutely)[-1]
    assert (rest.reason, 1000 + rest.missed_count + 1) == ("beyond max_catchup (1,000)", 365 * 24 * 60 + 1)


def test_one_transaction_writes_so_many_rows_and_leaves_the_rest_to_the_next(
    node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work", misfire_policy="fire_all", overlap_policy="allow")
    for number in range(7):
        schedule_fixed_rate("work", f"{number}", period=1)
    node.time.advance(hours=1)
    assert len(node.claim()) == MAX_ROWS
    assert len(node.claim()) == 2000


def test_a_skip_names_no_move_to_a_day_before_the_timer_began(node: Stepper, group: TimerGroup) -> None:
    create_calendar("weekend", rules=[{"weekdays": ["sat", "sun"]}])
    saturday = node.time.now + timedelta(days=(5 - node.time.now.weekday()) % 7)
    node.time.set(saturday.replace(hour=8, minute=0, second=0, microsecond=0))
    overrides = {"exclusion_calendars": ["weekend"], "on_excluded": "before"}
    timer = schedule_cron(group.name, "nine", expression="0 9 * * *", overrides=overrides)
    node.advance(7200)
    (row,) = rows_of(timer)
    assert row.outcome == "skipped"
    assert "not moved to" in (row.reason or "") and (row.reason or "").endswith("which had passed")
