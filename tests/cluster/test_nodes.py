"""Real nodes that are drained, activated, stopped and frozen, and the cluster or a partition paused."""

from __future__ import annotations

import os
import signal

import pytest

from tests.cluster.field import Field, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

MANY, MORE = 2000, 100
POLL = 1.0

_OFTEN = """
from timers.scheduling import ensure_group, schedule_many
ensure_group("{group}", partition="{partition}")
schedule_many([dict(kind="fixed_rate", group="{group}", name=f"often-{{n}}", period=0.2, handler="cluster.count")
               for n in range(20)])
"""


def ask(field: Field, call: str) -> None:
    field.run(f"from timers import cluster; cluster.{call}")


def state(field: Field, name: str) -> str:
    return str(field.value("SELECT state FROM timers_node WHERE name = %s", name))


def done_by(field: Field, name: str) -> int:
    return int(field.value("SELECT count(*) FROM timers_attempt WHERE node = %s", name))


def holds(field: Field, name: str) -> int:
    return int(field.value("SELECT count(*) FROM timers_claim c JOIN timers_node n ON n.id = c.node_id"
                           " WHERE n.name = %s", name))  # fmt: skip


def test_a_drained_node_leaves_the_work_to_others_until_it_is_activated_and_ends_when_it_is_stopped(
    field: Field,
) -> None:
    a = field.start("a", "--workers", "1")
    field.start("b", "--workers", "1")
    field.wait_for_workers(2)
    field.schedule("cluster.work", MANY)
    eventually(lambda: done_by(field, "a") > 20 and done_by(field, "b") > 20)
    ask(field, "drain_node('a', actor='ann')")
    eventually(lambda: state(field, "a") == "draining" and not field.worker_pids("a"))
    assert holds(field, "a") == 0
    by_a = done_by(field, "a")
    field.schedule("cluster.count", MORE)
    field.wait_until_succeeded(MANY + MORE)
    assert (done_by(field, "a"), state(field, "a"), a.poll()) == (by_a, "draining", None)
    field.check_ledger(MANY + MORE)
    assert field.value("SELECT count(*) FROM timers_attempt WHERE outcome <> 'succeeded' OR attempt <> 1") == 0

    ask(field, "drain_node('b')")
    eventually(lambda: state(field, "b") == "draining" and not field.worker_pids("b"))
    ask(field, "activate_node('a')")
    eventually(lambda: state(field, "a") == "active")
    field.schedule("cluster.count", MORE)
    eventually(lambda: done_by(field, "a") >= by_a + MORE)

    ask(field, "stop_node('a')")
    assert field.nodes.pop("a").wait(20) == 0
    assert state(field, "a") == "stopped"
    field.check_ledger(MANY + 2 * MORE)


def test_a_paused_cluster_starts_nothing_from_the_next_poll_on_until_it_is_resumed(field: Field) -> None:
    for name in ("a", "b"):
        field.start(name, "--workers", "1")
    field.run(_OFTEN.format(group="work", partition="default"))
    eventually(lambda: len(field.calls()) > 100)
    ask(field, "pause_cluster(reason='the warehouse floods', actor='ann')")
    paused_at = field.value("SELECT extract(epoch FROM at)::float8 FROM timers_cluster_pause")
    # By then each of them should have fired ten times.
    overdue = "SELECT max(next_fire_at) < clock_timestamp() - INTERVAL '2 s' FROM timers_timer"
    eventually(lambda: field.value(overdue))
    assert field.value("SELECT count(*) FROM timers_claim") == 0
    calls = field.calls()
    assert max(call.at for call in calls) < paused_at + POLL
    ask(field, "resume_cluster(actor='ann')")
    eventually(lambda: len(field.calls()) > len(calls) + 100)
    resumed = "SELECT kind FROM timers_cluster_event WHERE kind LIKE 'cluster %%' ORDER BY id"
    assert field.rows(resumed) == [("cluster paused",), ("cluster resumed",)]


def test_a_paused_partition_starts_nothing_while_another_one_goes_on(field: Field) -> None:
    for name, partition in (("a", "default"), ("b", "reports")):
        field.start(name, "--workers", "1", "--partition", partition)
        field.run(_OFTEN.format(group=partition, partition=partition))
    eventually(lambda: done_by(field, "a") > 100 and done_by(field, "b") > 100)
    field.manage("timercluster", "pause", "--partition", "reports", "--reason", "the warehouse floods")
    overdue = "SELECT max(next_fire_at) < clock_timestamp() - INTERVAL '2 s' FROM timers_timer WHERE group_id = ("
    overdue += "SELECT id FROM timers_timer_group WHERE name = 'reports')"
    eventually(lambda: field.value(overdue))
    by_a, by_b = done_by(field, "a"), done_by(field, "b")
    assert holds(field, "b") == 0
    eventually(lambda: done_by(field, "a") > by_a + 100)
    assert done_by(field, "b") == by_b
    assert "Partition reports is paused" in field.manage("timercluster")
    field.manage("timercluster", "resume", "--partition", "reports")
    eventually(lambda: done_by(field, "b") > by_b + 100)


def test_a_node_that_is_frozen_for_a_moment_is_suspect_and_recovers_and_keeps_its_work(field: Field) -> None:
    for name in ("a", "b"):
        field.start(name, "--workers", "1")
    seen = "SELECT cardinality(heartbeat_intervals) >= 3 FROM timers_node WHERE name = 'b'"
    eventually(lambda: field.value(seen))
    frozen = field.nodes["b"].pid
    told = "SELECT kind FROM timers_cluster_event WHERE node = 'b' AND kind <> 'node joined' ORDER BY id"
    os.killpg(frozen, signal.SIGSTOP)
    try:
        eventually(lambda: field.rows(told) == [("node suspect",)])
        assert "suspect (phi" in field.manage("timercluster")
    finally:
        os.killpg(frozen, signal.SIGCONT)
    eventually(lambda: len(field.rows(told)) > 1)
    assert field.rows(told) == [("node suspect",), ("node recovered",)]
    assert state(field, "b") == "active"
