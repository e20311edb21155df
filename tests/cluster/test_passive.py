"""A primary and its backups as real processes: takeover, clean stops, failback, and a mode that is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter

import pytest

from tests.cluster.field import ROOT, Field, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

ONE = ("--workers", "1")
RATE = 50
"""Timers that come due each second."""
TAKEOVER = 5.0
"""Seconds within which a backup must fire after kill -9 of the leader."""
FREEZE = 15.0
"""Seconds within which a backup must lead after the leader was frozen."""

_SPREAD = """
from timers.scheduling import ensure_group, schedule_many
ensure_group("work", placement="{placement}", retry={{"max_retries": 20, "min_backoff": 0.1, "max_backoff": 1}})
schedule_many([dict(kind="once", group="work", name=f"t-{{n}}", after={delay} + n / {rate},
                    handler="cluster.count") for n in range({count})])
"""
_LEADER = "SELECT n.name FROM timers_leadership l JOIN timers_node n ON n.id = l.node_id"
_BY_NODE = "SELECT node, min(started_at), count(*) FROM timers_attempt WHERE outcome = 'succeeded' GROUP BY 1"


def spread(field: Field, count: int, *, delay: float = 1.0, placement: str = "distributed") -> None:
    """Schedule one-shots that come due one after the other."""
    script = _SPREAD.format(delay=delay, rate=RATE, count=count, placement=placement)
    field.run(script)


def leader(field: Field) -> str:
    return str(field.value(_LEADER) or "")


def pair(field: Field, *words: str) -> None:
    """A primary and backups 1 and 2."""
    field.start("primary", *ONE, "--mode", "exclusive", *words)
    for number in ("1", "2"):
        field.start(f"backup-{number}", *ONE, "--mode", "backup", "--precedence", number, until="standby")
    # For one lease after a start of the server nobody is declared dead.
    eventually(lambda: field.value("SELECT clock_timestamp() - pg_postmaster_start_time() > INTERVAL '10 s'"))


def no_overlap(field: Field) -> None:
    """No execution was begun twice."""
    assert not [call for call, times in Counter(call.execution for call in field.calls()).items() if times > 1]


def test_backup_1_fires_within_five_seconds_of_a_kill_of_the_primary(field: Field) -> None:
    pair(field)
    spread(field, 15 * RATE)
    eventually(lambda: field.succeeded() > 3 * RATE)
    killed_at = field.value("SELECT clock_timestamp()")
    field.kill("primary")
    eventually(lambda: dict.fromkeys(row[0] for row in field.rows(_BY_NODE)).keys() >= {"backup-1"}, TAKEOVER + 3)
    field.wait_until_succeeded(15 * RATE, within=60)
    by_node = {node: (first, count) for node, first, count in field.rows(_BY_NODE)}
    first, _ = by_node["backup-1"]
    assert (first - killed_at).total_seconds() <= TAKEOVER
    assert set(by_node) == {"primary", "backup-1"}
    for name in ("backup-1", "backup-2"):
        assert field.stop(name) == 0
    field.check_ledger(15 * RATE)


def test_a_clean_stop_hands_over_and_a_primary_that_is_back_gets_the_lead_again(field: Field) -> None:
    pair(field)
    spread(field, 12 * RATE)
    eventually(lambda: field.succeeded() > RATE)
    assert field.stop("primary") == 0
    eventually(lambda: leader(field) == "backup-1", 1.0)
    before = field.succeeded()
    eventually(lambda: field.succeeded() > before + RATE)
    field.start("primary", *ONE, "--mode", "exclusive")
    eventually(lambda: leader(field) == "primary")
    field.wait_until_succeeded(12 * RATE, within=60)
    field.check_ledger(12 * RATE)
    no_overlap(field)
    late = "SELECT max(extract(epoch FROM started_at - scheduled_for)) FROM timers_attempt"
    assert float(field.value(late)) < 1.5
    by_node = {node: count for node, _, count in field.rows(_BY_NODE)}
    assert set(by_node) == {"primary", "backup-1"}
    changes = [
        row[0] for row in field.rows("SELECT node FROM timers_cluster_event WHERE kind = 'lead taken' ORDER BY id")
    ]
    assert changes == ["primary", "backup-1", "primary"]


def test_a_clean_stop_that_holds_the_lead_lets_nobody_fire_until_the_primary_is_back(field: Field) -> None:
    pair(field, "--on-stop", "hold")
    assert field.stop("primary") == 0
    spread(field, RATE, delay=0)
    beaten = "SELECT min(heartbeat_at) FROM timers_node WHERE state = 'standby'"
    stopped_at = field.value("SELECT ended_at FROM timers_node WHERE name = 'primary'")
    eventually(lambda: (field.value(beaten) - stopped_at).total_seconds() > 3)
    assert field.calls() == []
    field.start("primary", *ONE, "--mode", "exclusive", "--on-stop", "hold")
    field.wait_until_succeeded(RATE)
    assert {row[0] for row in field.rows(_BY_NODE)} == {"primary"}


def test_a_node_whose_mode_clashes_does_not_start(field: Field) -> None:
    field.start("primary", *ONE, "--mode", "exclusive")
    refused = subprocess.run(
        [sys.executable, "manage.py", "runtimerworker", "--name", "other"],
        cwd=ROOT, env=field.environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert refused.returncode == 1
    assert (
        "--mode: distributed clashes with node primary, which is exclusive in partition default."
        " Use another --partition, or stop that node first." in refused.stderr
    )


def test_a_lead_group_is_fired_by_one_node_at_a_time_while_the_lead_is_released(field: Field) -> None:
    for name in ("a", "b"):
        field.start(name, *ONE)
    spread(field, 8 * RATE, placement="lead")
    eventually(lambda: field.succeeded() > 2 * RATE)
    before = leader(field)
    field.manage("timercluster", "release-lead")
    assert leader(field) != before
    field.wait_until_succeeded(8 * RATE, within=60)
    field.check_ledger(8 * RATE)
    no_overlap(field)
    (first, _, last_of_first), (second, first_of_second, _) = field.rows(
        "SELECT node, min(claimed_at), max(claimed_at) FROM timers_attempt"
        " WHERE outcome = 'succeeded' GROUP BY 1 ORDER BY 2"
    )
    assert (first, second) == (before, leader(field))
    assert last_of_first < first_of_second


def test_a_leader_that_was_frozen_fires_nothing_that_the_next_one_has(field: Field) -> None:
    pair(field)
    spread(field, 25 * RATE)
    eventually(lambda: field.succeeded() > RATE)
    frozen = field.nodes["primary"].pid
    os.killpg(frozen, signal.SIGSTOP)
    frozen_at = field.value("SELECT clock_timestamp()")
    eventually(lambda: leader(field) == "backup-1", FREEZE + 3)
    taken_at = field.value("SELECT since FROM timers_leadership")
    assert (taken_at - frozen_at).total_seconds() <= FREEZE
    os.killpg(frozen, signal.SIGCONT)
    # Its next incarnation is a primary that is back.
    eventually(lambda: leader(field) == "primary")
    field.wait_until_succeeded(25 * RATE, within=90)
    field.check_ledger(25 * RATE)
    back_at = field.value("SELECT since FROM timers_leadership")
    wrong = (
        "SELECT count(*) FROM timers_attempt"
        " WHERE node = 'primary' AND claimed_at BETWEEN %s + INTERVAL '1 ms' AND %s - INTERVAL '1 ms'"
    )
    assert field.value(wrong, taken_at, back_at) == 0
