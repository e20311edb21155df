"""The number of a group's shards changes under load."""

from __future__ import annotations

import time

import pytest

from tests.cluster.field import Field, eventually

pytestmark = [pytest.mark.torture, pytest.mark.alone, pytest.mark.django_db(transaction=True)]

TIMERS = 1000
PERIOD = 2
SECONDS = 24

_SCHEDULE = f"""
from datetime import timedelta
from timers import clock
from timers.scheduling import ensure_group, schedule_many
policies = dict(misfire_policy="fire_all", overlap_policy="allow")
ensure_group("spread", shards=4, action={{"handler": "cluster.count"}}, **policies)
start = clock.now() + timedelta(seconds=4)
schedule_many([
    dict(kind="fixed_rate", group="spread", name=f"t{{n}}", period={PERIOD}, max_fires={SECONDS // PERIOD},
         start_at=start + timedelta(seconds={PERIOD} * n / {TIMERS}))
    for n in range({TIMERS})
])
"""
_CHANGE = "from timers.control.groups import update_group; update_group('spread', shards={shards})"


def test_five_hundred_fires_a_second_go_on_while_the_number_of_shards_changes(field: Field) -> None:
    field.start("a", "--workers", "1")
    field.start("b", "--workers", "1")
    field.run(_SCHEDULE)
    for shards in (16, 2):
        time.sleep(6)
        field.run(_CHANGE.format(shards=shards))
        eventually(lambda: field.value("SELECT moved_to_shards_up_to IS NULL FROM timers_timer_group"), within=30)
    expected = TIMERS * SECONDS // PERIOD
    eventually(lambda: field.value("SELECT count(*) FROM timers_timer WHERE state = 'active'") == 0, within=60)
    field.wait_until_succeeded(expected)
    assert field.rows("SELECT outcome, count(*) FROM timers_attempt GROUP BY 1") == [("succeeded", expected)]
    assert len({call.execution for call in field.calls()}) == len(field.calls()) == expected
    p99 = field.value(
        "SELECT percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - scheduled_for))"
        " FROM timers_attempt"
    )
    assert p99 <= 1.0
    assert {call.pid for call in field.calls()} >= set(field.worker_pids("a") + field.worker_pids("b"))
