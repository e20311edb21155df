"""The short torture profile: the faults of tests/cluster in full size."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.cluster import scenarios
from tests.cluster.field import Field, eventually
from tests.support.profile import IS_LONG

pytestmark = [pytest.mark.torture, pytest.mark.django_db(transaction=True)]

COUNT = 20_000 if IS_LONG else 10_000
TENTHS = 1_000 if IS_LONG else 300
KILLS = 1_000 if IS_LONG else 8
MILLISECONDS = 10_000 if IS_LONG else 5_000


def test_thousands_over_two_workers_each_run_once(field: Field) -> None:
    field.start("a")
    field.schedule("cluster.count", COUNT)
    field.wait_until_succeeded(COUNT)
    field.check_ledger(COUNT)
    assert len(field.calls()) == COUNT


def test_a_worker_killed_again_and_again(field: Field) -> None:
    assert scenarios.workers_killed(field, COUNT, every_seconds=1, at_most=KILLS) >= 5


@pytest.mark.alone
def test_a_node_killed(field: Field) -> None:
    assert scenarios.node_killed(field, COUNT) < 5


def test_a_drain(field: Field) -> None:
    scenarios.drained(field, COUNT)


def test_hundreds_of_tenths_of_a_second(field: Field) -> None:
    field.run(_TENTHS.format(fires=TENTHS))
    field.start("a")
    eventually(lambda: field.value("SELECT state = 'finished' FROM timers_timer"), within=150)
    field.wait_until_succeeded(TENTHS)
    rows = field.rows("SELECT scheduled_for FROM timers_attempt WHERE outcome = 'succeeded' ORDER BY id")
    steps = {(later - earlier).total_seconds() for (earlier,), (later,) in pairwise(rows)}
    assert (len(rows), steps) == (TENTHS, {0.1})


def test_thousands_of_starts_none_early(field: Field) -> None:
    field.run(_SPREAD.format(count=MILLISECONDS))
    field.start("a")
    field.wait_until_succeeded(MILLISECONDS)
    assert field.value("SELECT min(started_at - scheduled_for) >= INTERVAL '0' FROM timers_attempt") is True


_TENTHS = """
from timers.scheduling import ensure_group, schedule_fixed_rate
ensure_group("work", action={{"handler": "cluster.count"}})
schedule_fixed_rate("work", "tenths", period=0.1, max_fires={fires}, overrides={{"overlap_policy": "allow"}})
"""

_SPREAD = """
from datetime import timedelta
from timers import clock
from timers.scheduling import ensure_group, schedule_many
ensure_group("work", action={{"handler": "cluster.count"}})
start = clock.now() + timedelta(seconds=5)
schedule_many([
    dict(kind="once", group="work", name=str(n), at=start + timedelta(milliseconds=n)) for n in range({count})
])
"""
