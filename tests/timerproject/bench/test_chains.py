"""What `timerbench chains` reads out of the ledger."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from timerproject.bench.chains import CHAIN, STEPS, _group, between_steps
from timerproject.bench.figures import Run
from timerproject.bench.ground import Ground
from timers import clock
from timers.chains import find_steps
from timers.models import TimerGroup

pytestmark = pytest.mark.django_db


def run_of(gaps_ms: list[float]) -> Run:
    """A run of orders of two steps, the second of which began so long after the end of the first."""
    group = factories.group()
    begin = clock.now() - timedelta(seconds=60)
    timers = []
    for gap in gaps_ms:
        timer = factories.timer(in_group=group)
        end = begin + timedelta(milliseconds=5)
        factories.attempt(timer, "advanced", number=1, started_at=begin, finished_at=end, step="a")
        again = end + timedelta(milliseconds=gap)
        factories.attempt(timer, "advanced", number=2, started_at=again, finished_at=again, step="b")
        factories.attempt(timer, attempt=2, started_at=None, finished_at=again)
        timers.append(timer.id)
    return Run(group, timers)


def test_overhead_is_the_time_from_the_end_of_a_step_to_the_start_of_the_next() -> None:
    found = between_steps(run_of([2, 4, 6]))
    assert (found["gaps"], found["p50"], found["most"]) == (3, 4, 6)


def test_orders_of_one_step_have_no_overhead() -> None:
    run = run_of([1])
    assert between_steps(Run(run.group, [run.timers[0] + 1_000])) == {"gaps": 0}


def test_orders_of_a_measurement_walk_through_steps_that_do_nothing() -> None:
    with Ground() as ground:
        group = _group(ground, "chains")
        assert len(find_steps(group.name, CHAIN)) == STEPS + 1
        assert TimerGroup.objects.get(id=group.id).action == {"kind": "chain", "chain": CHAIN}
