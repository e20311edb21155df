"""PostgreSQL goes away under load and comes back: nodes go on by themselves."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.cluster.field import Field, eventually, field_on, stop
from timerproject.embedded.server import EmbeddedServer

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_a_restarted_database_loses_nothing_and_ends_no_node(
    server: EmbeddedServer, tmp_path: Path, how: signal.Signals
) -> None:
    with field_on(server, tmp_path) as field:
        node = field.start("a")
        field.schedule("cluster.work", 3000)
        eventually(lambda: field.succeeded() > 300)
        stop(server, how)
        server.start()
        before = len(field.calls())
        eventually(lambda: len(field.calls()) > before + 50, within=10)
        field.wait_until_succeeded(3000)
        assert node.poll() is None
        field.check_ledger(3000)


def test_only_workers_with_running_handlers_are_stopped_before_the_lease_ends(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    with field_on(server, tmp_path) as field:
        field.start("a", "--workers", "2")
        busy, idle = two_workers(field)
        stop(server, signal.SIGINT)
        eventually(lambda: busy not in field.worker_pids("a"), within=15)
        server.start()
        before = len(field.calls())
        # Again more than the other worker, which is new, has threads for.
        field.schedule("cluster.alone", 12)
        eventually(lambda: idle in {call.pid for call in field.calls()[before:]})
        eventually(lambda: field.value("SELECT count(*) FROM timers_attempt WHERE outcome = 'lost'") == 1)
        assert idle in field.worker_pids("a")


def test_a_worker_that_starts_while_the_database_is_away_waits_for_it(server: EmbeddedServer, tmp_path: Path) -> None:
    with field_on(server, tmp_path) as field:
        field.start("a", "--workers", "1")
        field.schedule("cluster.count", 1)
        (first,) = eventually(field.calls)
        stop(server, signal.SIGINT)
        os.kill(first.pid, signal.SIGKILL)
        eventually(lambda: "a worker waits for the database" in field.log("a"))
        server.start()
        field.schedule("cluster.rest", 12, payload=0.3)
        field.wait_until_succeeded(13)
        assert {call.pid for call in field.calls()} == {first.pid, *field.worker_pids("a")}
        assert "Traceback" not in field.log("a")


_SILENT = """
from tests import factories
factories.node("silent", mode="exclusive", state="active", beat_ago=60, lease=10)
"""


def test_node_waits_until_another_one_is_known_to_be_dead_after_a_restart(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    """The other one has missed its heartbeats, as all nodes have after the database was away."""
    with field_on(server, tmp_path) as field:
        stop(server, signal.SIGINT)
        server.start()
        field.run(_SILENT)
        field.start("b", "--workers", "1", "--mode", "exclusive")
        settled = "SELECT started_at - pg_postmaster_start_time() > INTERVAL '10 s' FROM timers_node WHERE name = 'b'"
        assert field.value(settled)
        assert field.value("SELECT state FROM timers_node WHERE name = 'silent'") == "dead"
        assert not field.value("SELECT count(*) FROM timers_cluster_event WHERE kind = 'node refused'")


def two_workers(field: Field) -> tuple[int, int]:
    """Give one worker something that runs on; returns its process id and the other's. Both have run something."""
    # More than one worker has threads for.
    field.schedule("cluster.rest", 12, payload=0.5)
    both = eventually(lambda: pids if len(pids := {call.pid for call in field.calls()}) == 2 else set())
    field.wait_until_succeeded(12)
    field.schedule("cluster.slow_first", 1, payload=100)
    call = eventually(lambda: next(iter(field.calls()[12:]), None))
    (idle,) = both - {call.pid}
    return call.pid, idle
