"""The poll interval is how often a node looks at the latest; what is due sooner does not wait for it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.cluster.field import Field, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

POLL, PERIOD, FIRES = 10, 2, 4

_RATES = f"""
from timers.scheduling import ensure_group, schedule_fixed_rate
for overlap in ("skip", "queue", "allow"):
    ensure_group(overlap, overlap_policy=overlap, max_batch=1)
    schedule_fixed_rate(overlap, "rate", period={PERIOD}, handler="cluster.count")
"""


def test_a_timer_fires_at_its_own_instants_however_seldom_its_node_polls(field: Field) -> None:
    field.settings["TIMERS_POLL_INTERVAL"] = str(POLL)
    field.start("a", "--workers", "1")
    field.run(_RATES)
    eventually(lambda: len(field.calls()) >= 3 * FIRES)
    fired = "SELECT group_id, scheduled_for, started_at FROM timers_attempt ORDER BY group_id, scheduled_for"
    rows = eventually(lambda: len(found := field.rows(fired)) >= 3 * FIRES and found)
    assert all(0 <= (started - scheduled).total_seconds() < PERIOD for _, scheduled, started in rows)
    apart = {(after - before).total_seconds() for (one, before, _), (other, after, _) in pairwise(rows) if one == other}
    assert apart == {PERIOD}


_ONE_SHOTS = """
from timers.scheduling import ensure_group, schedule_once
ensure_group("once")
for after in (2, 4, 6):
    schedule_once("once", f"after {after}", after=after, handler="cluster.count")
"""


def test_a_process_that_polls_often_announces_timers_to_a_node_that_looks_seldom(field: Field) -> None:
    field.settings["TIMERS_POLL_INTERVAL"] = "20"
    field.start("a", "--workers", "1")
    field.settings["TIMERS_POLL_INTERVAL"] = "1"
    field.run(_ONE_SHOTS)
    field.wait_until_succeeded(3, within=15)
