"""Jitter: a timer's own share of a stretch of time, the same at every fire, whatever is done to the timer."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, rows_of
from timers.models import Timer, TimerGroup, Waiting
from timers.schedules.jitter import jitter_offset_us
from timers.scheduling import (
    pause_timer,
    resume_timer,
    schedule_cron,
    schedule_fixed_rate,
    schedule_many,
    schedule_once,
    skip_next_fire,
    update_timer,
)
from timers.testing import START, Stepper, VirtualTime

SECOND = timedelta(seconds=1)
NAME = "spread"
JITTER = 600.0
SHARE = timedelta(microseconds=jitter_offset_us(NAME, JITTER))


def hourly(**more: Any) -> Timer:
    """An hourly timer from 13:00 on, whose fires are due at SHARE after the full hour."""
    timer = schedule_cron("work", NAME, expression="0 13-23 * * *", jitter=JITTER, **more)
    return Timer.objects.get(id=timer.id)


def at(hour: int) -> datetime:
    return START.replace(hour=hour)


def fired(timer: Timer) -> list[int]:
    """The hours that have run."""
    return [row.scheduled_for.hour for row in finals_of(timer) if row.outcome == "succeeded"]


def test_the_share_of_this_name_is_worth_testing() -> None:
    assert timedelta(seconds=60) < SHARE < timedelta(seconds=540)


def test_it_fires_at_its_share_and_never_before_and_its_instants_stay_nominal(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = hourly()
    assert timer.next_fire_at == at(13) + SHARE
    node.time.set(at(13) + SHARE - timedelta(microseconds=1))
    assert node.until_idle() == []
    node.time.advance(0.000001)
    node.until_idle()
    (row,) = finals_of(timer)
    assert (row.scheduled_for, row.started_at) == (at(13), at(13) + SHARE)
    assert handlers.calls[0].scheduled_fire_time == at(13)
    timer.refresh_from_db()
    assert (timer.next_fire_at, timer.last_fire_at) == (at(14) + SHARE, at(13))


def test_what_is_claimed_ahead_starts_at_its_share(
    group: TimerGroup, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    timer = hourly()
    node = Stepper(time, look_ahead=1.5)
    time.set(at(13) + SHARE - SECOND)
    assert len(node.claim()) == 1
    assert node.run() == []
    time.advance(1)
    node.run()
    node.finish()
    assert [row.started_at for row in finals_of(timer)] == [at(13) + SHARE]


def test_the_distance_between_two_fires_stays_that_of_the_schedule(group: TimerGroup, node: Stepper) -> None:
    timer = hourly()
    node.advance(hours=9)
    assert {row.started_at - row.scheduled_for for row in finals_of(timer) if row.started_at} == {SHARE}
    assert fired(timer) == list(range(13, 21))


def test_timers_of_one_instant_are_spread_evenly(group: TimerGroup, node: Stepper) -> None:
    schedule_many([{"kind": "once", "group": "work", "name": f"{n}", "after": 10, "jitter": 100} for n in range(1000)])
    shares = [
        (due - START - 10 * SECOND).total_seconds()
        for due in Timer.objects.values_list("next_fire_at", flat=True)
        if due is not None
    ]
    assert min(shares) >= 0
    assert max(shares) < 100
    tenths = [sum(1 for share in shares if tenth * 10 <= share < tenth * 10 + 10) for tenth in range(10)]
    assert min(tenths) > 60


def test_a_one_shot_has_its_share_too(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_once("work", NAME, at=at(13), jitter=JITTER)
    node.time.set(at(13) + SHARE)
    node.until_idle()
    (row,) = finals_of(timer)
    assert (row.scheduled_for, row.started_at) == (at(13), at(13) + SHARE)
    timer.refresh_from_db()
    assert (timer.state, timer.last_fire_at) == ("finished", at(13))


def test_what_waits_for_its_share_is_not_late(node: Stepper, handlers: TemporaryHandlers) -> None:
    factories.group("work", misfire_policy="skip", misfire_grace=1, max_lateness=2)
    timer = hourly()
    node.time.set(at(13) + SHARE + SECOND)
    node.until_idle()
    assert fired(timer) == [13]


def test_what_is_too_late_is_so_counted_from_its_share(node: Stepper, handlers: TemporaryHandlers) -> None:
    factories.group("work", misfire_policy="fire_once", misfire_grace=1)
    timer = hourly()
    node.time.set(at(16) + SHARE - SECOND)
    node.until_idle()
    assert [(row.scheduled_for, row.missed_count) for row in finals_of(timer)] == [(at(15), 2)]
    node.time.advance(1)
    node.until_idle()
    assert fired(timer) == [15, 16]


# Edits between a nominal instant and the timer's share of it: the fire is still to come, once.
EDITS: list[dict[str, Any]] = [
    {"jitter": 0},
    {"jitter": 1200},
    {"jitter": 60},
    {"end_at": START + timedelta(days=2)},
    {"time_zone": "Europe/Berlin"},
    {"overrides": {"misfire_grace": 5}},
    {"description": "another"},
]


@pytest.mark.parametrize("edit", EDITS, ids=str)
def test_an_edit_while_it_waits_for_its_share_neither_loses_nor_repeats_the_fire(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers, edit: dict[str, Any]
) -> None:
    timer = hourly()
    node.live_until(at(14) + SHARE / 2)
    assert fired(timer) == [13]
    update_timer("work", NAME, **edit)
    node.advance(hours=2)
    assert fired(timer)[:3] == [13, 14, 15]
    assert len(set(fired(timer))) == len(fired(timer))


@pytest.mark.parametrize("edit", EDITS, ids=str)
def test_an_edit_of_what_is_due_already_leaves_its_nominal_instant(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers, edit: dict[str, Any]
) -> None:
    timer = hourly()
    node.time.set(at(13) + SHARE + SECOND)
    update_timer("work", NAME, **edit)
    node.advance(hours=2)
    assert [row.scheduled_for for row in finals_of(timer)][:2] == [at(13), at(14)]


@pytest.mark.parametrize("edit", EDITS, ids=str)
@pytest.mark.parametrize("early", [timedelta(0), SECOND], ids=["just after", "claimed ahead"])
def test_an_edit_after_a_fire_does_not_repeat_it(
    group: TimerGroup, time: VirtualTime, handlers: TemporaryHandlers, edit: dict[str, Any], early: timedelta
) -> None:
    node = Stepper(time, look_ahead=1.5)
    timer = hourly()
    time.set(at(13) + SHARE - early)
    node.claim()
    update_timer("work", NAME, **edit)
    node.advance(hours=2)
    assert fired(timer)[:2] == [13, 14]
    assert len(handlers.calls) == len(set(fired(timer))) == len(fired(timer))


def test_a_replaced_timer_does_not_repeat_what_was_claimed_ahead(
    group: TimerGroup, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    node = Stepper(time, look_ahead=1.5)
    timer = hourly()
    time.set(at(13) + SHARE - SECOND)
    node.claim()
    schedule_cron("work", NAME, expression="0 13-23 * * *", jitter=2 * JITTER, on_conflict="replace")
    node.advance(hours=2)
    assert fired(timer) == [13, 14]


def test_a_paused_timer_fires_what_waited_for_its_share(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = hourly()
    node.live_until(at(13) + SHARE / 2)
    pause_timer("work", NAME)
    resume_timer("work", NAME)
    node.advance(hours=1)
    assert fired(timer) == [13]


def test_a_rescue_and_a_drain_keep_the_share(group: TimerGroup, time: VirtualTime, handlers: TemporaryHandlers) -> None:
    timer = hourly()
    first, second, third = (Stepper(time, look_ahead=1.5) for _ in range(3))
    time.set(at(13) + SHARE - SECOND)
    assert len(first.claim()) == 1
    assert first.release() == 1
    assert Waiting.objects.get().available_at == at(13) + SHARE
    assert len(second.claim()) == 1
    assert second.run() == []
    third.rescue(second)
    third.advance(2)
    (lost, final) = rows_of(timer)
    assert (lost.outcome, final.outcome, final.scheduled_for) == ("lost", "succeeded", at(13))


def test_a_retry_comes_by_its_policy_without_a_share(node: Stepper, handlers: TemporaryHandlers) -> None:
    factories.group("work", retry={"min_backoff": 30})
    handlers.script("tests.noop", ValueError("down"), None)
    timer = hourly()
    node.advance(hours=2)
    first, second = [row.started_at for row in rows_of(timer)][:2]
    assert first is not None and second is not None
    assert (first, second - first) == (at(13) + SHARE, 30 * SECOND)


def test_a_fixed_rate_has_its_share_of_every_instant(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_fixed_rate("work", NAME, period=10, jitter=5, start_at=START)
    node.advance(60)
    share = timedelta(microseconds=jitter_offset_us(NAME, 5))
    assert [row.scheduled_for for row in finals_of(timer)] == [START + n * 10 * SECOND for n in range(6)]
    assert {row.started_at - row.scheduled_for for row in finals_of(timer) if row.started_at} == {share}


def test_a_fire_that_is_left_out_while_it_waits_for_its_share_stays_so(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = hourly()
    node.live_until(at(13) + SHARE / 2)
    assert skip_next_fire("work", NAME) == (at(13), at(14) + SHARE)
    update_timer("work", NAME, jitter=JITTER / 2)
    node.advance(hours=2)
    assert fired(timer) == [14, 15][: len(fired(timer))]
    assert finals_of(timer)[0].outcome == "skipped"
