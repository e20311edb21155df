"""The clock of a sandbox: frozen, moved forward, let run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests import factories
from timers import clock
from timers.engine.group_clock import now_in
from timers.exceptions import InvalidRequest, TimerNotFound
from timers.models import TimerGroup
from timers.scheduling import (
    advance_clock,
    create_sandbox,
    fire_timer,
    freeze_clock,
    pause_group,
    pause_timer,
    run_clock,
    schedule_fixed_rate,
    schedule_once,
    update_group,
)
from timers.testing import START, Stepper, VirtualTime

LEAP = datetime(2028, 2, 28, 12, tzinfo=UTC)
PAST = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def virtual(time: VirtualTime, handlers: object) -> VirtualTime:
    return time


def sandbox(at: datetime | None = LEAP, **fields: Any) -> TimerGroup:
    return create_sandbox("trial", at, action={"handler": "tests.noop"}, **fields)


def test_a_sandbox_begins_with_a_clock_that_stands_where_it_is_told(time: VirtualTime) -> None:
    group = sandbox(misfire_policy="skip")

    time.advance(3600)

    assert now_in("trial") == LEAP
    assert (group.sandbox, group.misfire_policy) == (True, "skip")


def test_a_sandbox_without_an_instant_begins_now(time: VirtualTime) -> None:
    sandbox(at=None)

    time.advance(3600)

    assert now_in("trial") == START


def test_a_clock_that_runs_goes_on_from_where_it_stood(time: VirtualTime) -> None:
    sandbox()
    time.advance(3600)

    run_clock("trial")
    time.advance(5)
    assert now_in("trial") == LEAP + timedelta(seconds=5)

    freeze_clock("trial")
    time.advance(5)
    assert now_in("trial") == LEAP + timedelta(seconds=5)


def test_a_clock_may_run_in_the_past(time: VirtualTime) -> None:
    sandbox(PAST)

    run_clock("trial")
    time.advance(days=1)

    assert now_in("trial") == PAST + timedelta(days=1)


def test_a_clock_is_frozen_at_a_later_instant() -> None:
    sandbox()

    freeze_clock("trial", "2028-03-01T00:00:00Z")

    assert now_in("trial") == datetime(2028, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("change", [{"by": 90}, {"by": "PT1M30S"}, {"to": LEAP + timedelta(seconds=90)}])
def test_with_nothing_on_the_way_a_clock_is_advanced_at_once(change: dict[str, object]) -> None:
    sandbox()

    answer = advance_clock("trial", **change)  # type: ignore[arg-type]

    assert answer.arrived
    assert answer.now == answer.target == now_in("trial") == LEAP + timedelta(seconds=90)


def test_a_running_clock_is_advanced_and_runs_on(time: VirtualTime) -> None:
    sandbox()
    run_clock("trial")

    advance_clock("trial", by=60)
    time.advance(1)

    assert now_in("trial") == LEAP + timedelta(seconds=61)


def test_workers_read_the_clock_again_after_each_change() -> None:
    versions = [sandbox().version]

    for change in (lambda: advance_clock("trial", by=1), lambda: run_clock("trial"), lambda: freeze_clock("trial")):
        change()
        versions.append(TimerGroup.objects.get().version)

    assert versions == [1, 2, 3, 4]


def test_an_advance_stops_at_each_instant_on_its_way_until_all_of_it_has_been_done(node: Stepper) -> None:
    sandbox()
    schedule_fixed_rate("trial", "hourly", period=3600)

    first = advance_clock("trial", by=9000)
    assert (first.now, first.busy, first.arrived) == (LEAP + timedelta(hours=1), 1, False)
    assert first.target == LEAP + timedelta(hours=2.5)

    assert advance_clock("trial", to=first.target) == first, "it does not move while something is due"
    node.claim()
    assert advance_clock("trial", to=first.target) == first, "nor while something runs"
    node.run()
    node.finish()

    second = advance_clock("trial", to=first.target)
    assert (second.now, second.busy) == (LEAP + timedelta(hours=2), 1)
    node.until_idle()

    last = advance_clock("trial", to=first.target)
    assert (last.now, last.busy, last.arrived) == (first.target, 0, True)
    assert advance_clock("trial", to=first.target) == last


def test_an_advance_waits_for_what_is_due_at_the_target_itself(node: Stepper) -> None:
    sandbox()
    schedule_once("trial", "t", after=60)

    assert not advance_clock("trial", by=60).arrived
    node.until_idle()
    assert advance_clock("trial", to=LEAP + timedelta(seconds=60)).arrived


def test_an_advance_stops_where_a_pause_ends() -> None:
    sandbox()
    schedule_fixed_rate("trial", "hourly", period=3600)
    pause_timer("trial", "hourly", until=LEAP + timedelta(days=1))

    answer = advance_clock("trial", by="P2D")

    assert (answer.now, answer.busy) == (LEAP + timedelta(days=1), 1)


def test_nothing_of_a_paused_group_holds_its_clock_up() -> None:
    sandbox()
    schedule_fixed_rate("trial", "hourly", period=3600)
    pause_group("trial", until=LEAP + timedelta(hours=5))

    assert advance_clock("trial", by="PT5H").now == LEAP + timedelta(hours=5)


def test_a_jump_goes_to_the_target_at_once() -> None:
    sandbox()
    schedule_fixed_rate("trial", "hourly", period=3600)

    answer = advance_clock("trial", by="P3D", jump=True)

    assert (answer.now, answer.busy) == (LEAP + timedelta(days=3), 1)


@pytest.mark.parametrize(
    "change",
    [
        freeze_clock,
        run_clock,
        lambda name: advance_clock(name, by=60),
    ],
)
def test_the_clock_of_any_other_group_is_the_databases(change: Callable[[str], object]) -> None:
    factories.group("real")

    with pytest.raises(InvalidRequest, match="is no sandbox, its clock is the database's; create_sandbox makes one"):
        change("real")
    with pytest.raises(TimerNotFound, match="no group 'nobody'"):
        change("nobody")

    assert now_in("real") == now_in("nobody") == clock.now()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda: freeze_clock("trial", LEAP - timedelta(seconds=1)), "at: lies behind the group's clock"),
        (lambda: advance_clock("trial", to=PAST), "to: lies behind the group's clock .* only goes forward"),
        (lambda: advance_clock("trial", by=-5), "by"),
        (lambda: advance_clock("trial", by=0), "by"),
        (lambda: advance_clock("trial", by="P9999999D"), "by"),
        (lambda: advance_clock("trial", to="2028-03-01T00:00:00"), "to: has no time zone"),
        (lambda: advance_clock("trial"), "by: give either by, a duration, or to, an instant"),
        (lambda: advance_clock("trial", by=1, to=LEAP), "by: give either by"),
        (lambda: create_sandbox("trial"), "name: is taken"),
        (lambda: create_sandbox("other", "soon"), "at: must be an instant"),
        (lambda: create_sandbox("other", colour="red"), "colour: is not known"),
        (lambda: update_group("trial", sandbox=False), "sandbox: is not known"),
        (lambda: update_group("trial", clock_ahead_us=5), "clock_ahead_us: is not known"),
    ],
)
def test_what_makes_no_sense_is_refused_and_the_clock_stays(change: Callable[[], object], problem: str) -> None:
    sandbox()

    with pytest.raises(InvalidRequest, match=problem):
        change()

    assert now_in("trial") == LEAP
    assert not TimerGroup.objects.filter(name="other").exists()


def test_timers_are_made_at_the_time_of_their_group() -> None:
    sandbox()

    after = schedule_once("trial", "after", after=60)
    rate = schedule_fixed_rate("trial", "rate", period=3600)
    past = schedule_once("trial", "past", at=LEAP - timedelta(days=1))

    assert after.next_fire_at == LEAP + timedelta(seconds=60)
    assert rate.next_fire_at == LEAP + timedelta(hours=1)
    assert past.next_fire_at == LEAP - timedelta(days=1)


def test_a_run_by_hand_is_due_at_the_time_of_the_group(node: Stepper) -> None:
    sandbox()
    schedule_once("trial", "t", after=86_400)

    fire_timer("trial", "t")
    (outcome,) = node.until_idle()

    assert outcome.execution.scheduled_us == round(LEAP.timestamp()) * 1_000_000


def test_a_pause_is_told_to_end_in_the_time_of_the_group() -> None:
    sandbox(PAST)
    schedule_once("trial", "t", after=86_400)

    with pytest.raises(InvalidRequest, match="until"):
        pause_timer("trial", "t", until=PAST)

    assert pause_timer("trial", "t", until=PAST + timedelta(hours=1)).state == "paused"
    assert pause_group("trial", until=PAST + timedelta(hours=1)).state == "paused"
