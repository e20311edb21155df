"""Real nodes, real faults, in a small size; tests/torture has the same in full."""

from __future__ import annotations

import os
import signal
from itertools import pairwise

import pytest

from tests.cluster import scenarios
from tests.cluster.field import Field, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]


def test_two_workers_run_each_execution_once(field: Field) -> None:
    field.start("a")
    field.schedule("cluster.count", 2000)
    field.wait_until_succeeded(2000)
    field.check_ledger(2000)
    assert len(field.calls()) == 2000


def test_a_killed_worker_loses_nothing(field: Field) -> None:
    assert scenarios.workers_killed(field, 2000, every_seconds=0.5) >= 1


def test_a_killed_node_is_taken_over_before_its_lease_would_end(field: Field) -> None:
    assert scenarios.node_killed(field, 1500) < 10


def test_a_drain_loses_and_doubles_nothing(field: Field) -> None:
    scenarios.drained(field, 1500)


def test_nothing_starts_before_its_instant(field: Field) -> None:
    field.run(_SPREAD)
    field.start("a")
    field.wait_until_succeeded(2000)
    (earliest,) = field.rows("SELECT min(started_at - scheduled_for) >= INTERVAL '0' FROM timers_attempt")[0]
    assert earliest is True


def test_a_fixed_rate_keeps_its_nominal_instants(field: Field) -> None:
    field.run(_TENTHS)
    field.start("a")
    eventually(lambda: field.value("SELECT state = 'finished' FROM timers_timer"), within=30)
    field.wait_until_succeeded(100)
    rows = field.rows("SELECT scheduled_for, outcome FROM timers_attempt ORDER BY id")
    assert {outcome for _, outcome in rows} == {"succeeded"}
    steps = {(later - earlier).total_seconds() for (earlier, _), (later, _) in pairwise(rows)}
    assert steps == {0.1}


def test_a_supervisor_takes_its_workers_with_it(field: Field) -> None:
    node = field.start("a")
    pids = eventually(lambda: field.worker_pids("a"))
    os.kill(node.pid, signal.SIGKILL)
    node.wait()
    eventually(lambda: not any(_lives(pid) for pid in pids), within=5)


def test_handlers_that_hog_exit_and_overrun_end_as_failed_and_hold_up_nobody(field: Field) -> None:
    failed = "SELECT count(*) = %s FROM timers_waiting WHERE state = 'failed'"
    field.run(_EXIT)
    field.start("a")
    # Alone: the end of its worker would take tries of others along, which are then lost, and not their own.
    eventually(lambda: field.value(failed, 1), within=60)
    field.run(_OVERRUN)
    eventually(lambda: field.value(failed, 3), within=60)
    reasons = dict(field.rows("SELECT name, reason FROM timers_waiting"))
    assert "exit code 3" in reasons["exit"]
    assert "limit" in reasons["hog"]
    assert "limit" in reasons["sleep"]
    # A try lost because a neighbour overran is not held against its timer, so it is not among its two.
    tries = {
        (name, outcome): count
        for name, outcome, count in field.rows("SELECT name, outcome, count(*) FROM timers_attempt GROUP BY 1, 2")
    }
    own = {("exit", "lost"): 2, ("hog", "timeout"): 2, ("sleep", "timeout"): 2}
    assert own.items() <= tries.items()
    assert tries.keys() <= own.keys() | {("hog", "lost"), ("sleep", "lost")}
    longest = field.value(
        "SELECT max(extract(epoch FROM finished_at - started_at)) FROM timers_attempt WHERE name = 'hog'"
    )
    assert longest < 3 + 5, "its limit and five seconds"
    beats = field.value("SELECT extract(epoch FROM timers_now() - heartbeat_at) FROM timers_node WHERE name = 'a'")
    assert beats < 5
    field.schedule("cluster.count", 50)
    eventually(lambda: field.value("SELECT count(*) = 50 FROM timers_attempt WHERE name LIKE 'cluster.count%%'"))


def test_poison_rows_fail_alone(field: Field) -> None:
    field.run(_POISON)
    field.start("a")
    eventually(lambda: field.succeeded() == 990)
    eventually(lambda: field.value("SELECT count(*) = 3 FROM timers_waiting WHERE state = 'failed'"))
    reasons = dict(field.rows("SELECT name, reason FROM timers_waiting"))
    assert "out of range" in reasons["number"]
    assert "nested" in reasons["depth"]
    # It waits for a node that knows its handler.
    assert field.rows("SELECT state, fire_count FROM timers_timer WHERE name = 'handler'") == [("active", 0)]
    assert "time zone" in reasons["zone"]


def test_nodes_of_one_name_share_the_work_and_one_goes_on_where_the_other_is_killed(field: Field) -> None:
    field.start("a")
    field.nodes["first"] = field.nodes.pop("a")
    field.start("a")
    assert field.value("SELECT count(*) FROM timers_node WHERE name = 'a' AND state = 'active'") == 2
    field.run(_SPREAD)
    eventually(lambda: field.value("SELECT count(DISTINCT node_id) FROM timers_claim") == 2)
    field.kill("first")
    eventually(lambda: field.succeeded() == 2000)
    assert field.rows("SELECT state FROM timers_node WHERE name = 'a' ORDER BY state") == [("active",), ("dead",)]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


_SPREAD = """
from datetime import timedelta
from timers import clock
from timers.scheduling import ensure_group, schedule_many
ensure_group("work", action={"handler": "cluster.count"})
start = clock.now() + timedelta(seconds=3)
schedule_many([dict(kind="once", group="work", name=str(n), at=start + timedelta(milliseconds=n)) for n in range(2000)])
"""

_TENTHS = """
from timers.scheduling import ensure_group, schedule_fixed_rate
ensure_group("work", action={"handler": "cluster.count"})
schedule_fixed_rate("work", "tenths", period=0.1, max_fires=100, overrides={"overlap_policy": "allow"})
"""

_EXIT = """
from timers.scheduling import ensure_group, schedule_once
ensure_group("work", retry={"max_retries": 1, "min_backoff": 0.1, "max_backoff": 0.1})
schedule_once("work", "exit", after=0, handler="cluster.exit")
"""

_OVERRUN = """
from timers.scheduling import schedule_once
schedule_once("work", "hog", after=0, handler="cluster.hog")
schedule_once("work", "sleep", after=0, handler="cluster.sleep", payload=60)
"""

_POISON = """
from django.db import connection
from timers.scheduling import ensure_group, schedule_many
ensure_group("work", action={"handler": "cluster.count"}, retry={"max_retries": 0})
names = ["number", "depth", "handler", "zone", *map(str, range(990))]
schedule_many([dict(kind="once", group="work", name=name, after=0.5) for name in names])
def spoil(name, column, text):
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE timers_timer SET {column} = %s WHERE name = %s", (text, name))
spoil("number", "payload", '{"a":1e131071}')
spoil("depth", "payload", "[" * 5000 + "]" * 5000)
spoil("handler", "action", '{"handler": "nobody.knows"}')
spoil("zone", "time_zone", "Mars/Olympus")
"""
