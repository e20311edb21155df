"""What timerbench reads out of the ledger, and that nothing of it is left."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connections

from tests import factories
from timerproject.bench import create
from timerproject.bench.figures import Run, drained, fires_between, lateness, wait_until_drained
from timerproject.bench.ground import BenchRuns, Ground, due_one_shots, fixed_rates, one_shots_at
from timers import clock
from timers.models import Attempt, Timer, TimerGroup

pytestmark = pytest.mark.django_db


def run_of(started_after_ms: list[float]) -> tuple[Run, datetime]:
    """A run of one-shots that began so long after their common instant and took 1 ms each."""
    group = factories.group()
    due = clock.now() - timedelta(seconds=60)
    timers = []
    for place, ms in enumerate(started_after_ms):
        timer = factories.timer(in_group=group)
        start = due + timedelta(milliseconds=ms)
        factories.attempt(
            timer, scheduled_for=due, started_at=start, finished_at=start + timedelta(milliseconds=1),
            node="bench-2", worker=1 + place % 2, fence=7,
        )  # fmt: skip
        timers.append(timer.id)
    return Run(group, timers), due


def test_a_rate_is_counted_from_the_first_start_until_all_was_seen_recorded() -> None:
    run, due = run_of([0, 1, 2, 3])
    found = drained(run, due + timedelta(milliseconds=2000))
    assert (found["executions"], found["per_second"]) == (4, 2)
    assert found["by_worker"] == {"2/1": 2, "2/2": 2}
    assert found["claims"] == 1


def test_what_did_not_succeed_is_told_apart() -> None:
    run, due = run_of([0, 1])
    factories.attempt(Timer.objects.get(id=run.timers[0]), "error")
    assert drained(run, due + timedelta(seconds=1))["other_rows"] == 1


def test_lateness_is_start_minus_instant_and_an_early_start_is_not_hidden() -> None:
    run, _ = run_of([-2, *range(1, 100)])
    found = lateness(run)
    assert (found["executions"], found["early"]) == (100, 1)
    assert found["ms"]["least"] == -2
    assert found["ms"]["most"] == 99
    assert found["ms"]["p50"] == pytest.approx(49.5)


def test_fires_are_those_whose_instant_lies_in_the_stretch() -> None:
    run, due = run_of([0, 1, 2])
    assert fires_between(run, due, due + timedelta(seconds=3))["per_second"] == 1
    assert fires_between(run, due + timedelta(seconds=1), due + timedelta(seconds=3))["executions"] == 0


def test_a_drained_group_is_seen_at_once() -> None:
    with Ground() as ground:
        group = ground.group("work")
        run = Run(group, due_one_shots(group.name, 3))
        Timer.objects.filter(group=group).update(state="finished", last_fire_at=clock.now(), next_fire_at=None)
        assert wait_until_drained(run, clock.now()) <= clock.now()


def test_timers_of_the_ground_are_due_when_they_should_be() -> None:
    with Ground() as ground:
        group, first = ground.group("work"), clock.now() + timedelta(hours=1)
        due_one_shots(group.name, 2)
        assert Timer.objects.filter(group=group, next_fire_at__lte=clock.now()).count() == 2
        one_shots_at(group.name, first, timedelta(seconds=1), 2)
        fixed_rates(group.name, 10.0, first, 2, spread=10)
        ahead = Timer.objects.filter(group=group, next_fire_at__gte=first).order_by("next_fire_at", "id")
        assert [(timer.next_fire_at - first).total_seconds() for timer in ahead if timer.next_fire_at] == [0, 0, 1, 5]


def test_the_ground_is_clean_afterwards_whatever_happened() -> None:
    other = factories.attempt(factories.timer())

    def fail_on_it() -> None:
        with Ground() as ground:
            (timer_id,) = due_one_shots(ground.group("work").name, 1)
            factories.attempt(Timer.objects.get(id=timer_id))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_on_it()
    assert [attempt.id for attempt in Attempt.objects.all()] == [other.id]
    assert not TimerGroup.objects.filter(name__startswith="timerbench-").exists()


def test_what_a_killed_measurement_left_is_cleared_by_the_next() -> None:
    factories.timer(in_group=factories.group("timerbench-killed-work"))
    with Ground():
        assert not TimerGroup.objects.filter(name="timerbench-killed-work").exists()


@pytest.mark.django_db(transaction=True)
def test_two_measurements_do_not_run_at_once() -> None:
    other = connections["default"].copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(hashtext('timerbench'))")
        with pytest.raises(BenchRuns), Ground():
            pass
    finally:
        other.close()


def test_creating_is_measured_one_by_one_and_in_bulk() -> None:
    found = create.measure(executions=20, seconds=0.05)
    assert found["bulk"]["timers"] == 20
    assert found["one_by_one"]["per_second"] > 0
