"""Backfills: the occurrences of a past stretch, run on demand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, words_of
from timers.exceptions import InvalidRequest, NotAllowedNow
from timers.models import TimerGroup, Waiting
from timers.scheduling import (
    backfill_timer,
    cancel_backfill,
    cancel_timer,
    schedule_cron,
    schedule_fixed_delay,
    schedule_fixed_rate,
    schedule_once,
)
from timers.testing import Stepper
from timers.testing.virtual_time import START

DAY = timedelta(days=1)


@pytest.fixture
def week(group: TimerGroup) -> None:
    """A nightly timer that has not fired yet; the seven nights before are in the past."""
    schedule_cron("work", "nightly", expression="30 2 * * *", time_zone="Europe/Berlin")


def test_each_occurrence_of_the_stretch_runs_once_oldest_first(
    week: None, node: Stepper, handlers: TemporaryHandlers
) -> None:
    filled = backfill_timer("work", "nightly", start=START - 7 * DAY, end=START)
    assert filled.executions == 7
    node.until_idle()
    instants = [fire.scheduled_fire_time for fire in handlers.calls]
    assert instants == sorted(instants)
    assert (instants[0], instants[-1]) == (filled.first, filled.last)
    assert {(fire.scheduled_fire_time.hour, fire.scheduled_fire_time.minute) for fire in handlers.calls} == {(2, 30)}
    assert {fire.origin for fire in handlers.calls} == {"backfill"}
    assert not Waiting.objects.exists()


def test_queued_ones_run_one_after_the_other_whatever_becomes_of_them(
    week: None, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", ValueError("down"), None)
    factories.TimerGroup.objects.filter(name="work").update(retry={"max_retries": 0}, version=2)
    backfill_timer("work", "nightly", start=START - 7 * DAY, end=START)
    for number in range(7):
        assert len(node.claim()) == 1, f"the {number}. of them runs alone"
        node.run()
        node.finish()
    assert node.claim() == []
    assert [row.state for row in Waiting.objects.all()] == ["failed"]


def test_allowed_overlaps_become_ready_at_once(week: None, node: Stepper) -> None:
    backfill_timer("work", "nightly", start=START - 7 * DAY, end=START, overlap="allow")
    assert len(node.claim()) == 7


@pytest.mark.parametrize("overlap", ["queue", "allow"])
def test_a_pace_is_kept(week: None, node: Stepper, handlers: TemporaryHandlers, overlap: str) -> None:
    backfill_timer("work", "nightly", start=START - 7 * DAY, end=START, overlap=overlap, per_second=0.5)
    counts = []
    for _ in range(8):
        node.until_idle()
        counts.append(len(handlers.calls))
        node.advance(2)
    assert counts == [1, 2, 3, 4, 5, 6, 7, 7]


def test_a_second_backfill_queues_behind_the_first_and_runs_the_same_instants_again(
    week: None, node: Stepper, handlers: TemporaryHandlers
) -> None:
    backfill_timer("work", "nightly", start=START - 2 * DAY, end=START)
    node.claim()
    backfill_timer("work", "nightly", start=START - 2 * DAY, end=START)
    assert node.claim() == [], "the first one is not done"
    node.until_idle()
    assert len(handlers.calls) == len({fire.execution_id for fire in handlers.calls}) == 4


def test_the_schedule_goes_on_beside_it(week: None, node: Stepper, handlers: TemporaryHandlers) -> None:
    backfill_timer("work", "nightly", start=START - 3 * DAY, end=START)
    node.claim()
    node.advance(days=1)
    node.until_idle()
    assert [fire.origin for fire in handlers.calls].count("schedule") == 1
    assert len(handlers.calls) == 4


def test_a_failed_backfill_leaves_the_timers_own_record_alone(
    week: None, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", ValueError("down"))
    factories.TimerGroup.objects.filter(name="work").update(retry={"max_retries": 0}, pause_after_failures=1, version=2)
    backfill_timer("work", "nightly", start=START - 3 * DAY, end=START)
    node.until_idle()
    timer = factories.Timer.objects.get()
    assert (timer.state, timer.failures_in_a_row, timer.last_outcome) == ("active", 0, "")


def test_another_payload_can_be_given(week: None, node: Stepper, handlers: TemporaryHandlers) -> None:
    backfill_timer("work", "nightly", start=START - DAY, end=START, payload={"again": True})
    node.until_idle()
    assert handlers.calls[0].payload == {"again": True}


def test_what_waits_of_it_can_be_cancelled(week: None, node: Stepper, handlers: TemporaryHandlers) -> None:
    backfill_timer("work", "nightly", start=START - 7 * DAY, end=START)
    node.claim()
    node.run()
    assert cancel_backfill("work", "nightly", actor="ada") == 6
    node.until_idle()
    assert len(handlers.calls) == 1
    timer = factories.Timer.objects.get()
    assert sorted(words_of(timer)) == ["cancelled"] * 6 + ["succeeded"]
    assert {row.reason for row in finals_of(timer) if row.outcome == "cancelled"} == {"backfill cancelled by ada"}


def test_a_cancelled_one_lets_the_next_of_the_queue_run(week: None, node: Stepper) -> None:
    from timers.control.executions import cancel_waiting

    backfill_timer("work", "nightly", start=START - 3 * DAY, end=START)
    ready = Waiting.objects.get(state="ready")
    cancel_waiting([str(ready.id)])
    assert Waiting.objects.filter(state="ready").count() == 1
    assert len(node.claim()) == 1


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"end": START + DAY}, "end"),
        ({"start": START, "end": START}, "start"),
        ({"start": START - timedelta(hours=1)}, "start"),
        ({"overlap": "skip"}, "overlap"),
        ({"per_second": 0}, "per_second"),
        ({"start": "yesterday"}, "start"),
    ],
)
def test_what_makes_no_sense_is_refused(week: None, wrong: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        backfill_timer("work", "nightly", **{"start": START - DAY, "end": START, **wrong})  # type: ignore[arg-type]
    assert caught.value.field == field
    assert not Waiting.objects.exists()


def test_too_many_at_once_are_refused(group: TimerGroup) -> None:
    schedule_cron("work", "minutely", expression="* * * * *")
    with pytest.raises(InvalidRequest, match="more than 10,000 occurrences"):
        backfill_timer("work", "minutely", start=START - 30 * DAY, end=START)


def test_a_rate_is_backfilled_from_its_anchor_on(group: TimerGroup, node: Stepper) -> None:
    schedule_fixed_rate("work", "rate", period=3600, start_at=START - timedelta(hours=5, minutes=30))
    filled = backfill_timer("work", "rate", start=START - DAY, end=START, overlap="allow")
    assert (filled.executions, filled.first) == (6, START - timedelta(hours=5, minutes=30))


def test_what_has_no_past_instants_is_refused(group: TimerGroup) -> None:
    schedule_fixed_delay("work", "delay", delay=60)
    with pytest.raises(InvalidRequest, match="no past instants"):
        backfill_timer("work", "delay", start=START - DAY, end=START)
    schedule_once("work", "once", after=60)
    cancel_timer("work", "once")
    with pytest.raises(NotAllowedNow):
        backfill_timer("work", "once", start=START - DAY, end=START)
