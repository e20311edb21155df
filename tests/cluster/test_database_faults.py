"""The database server loses a process, or a table is locked."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from tests.cluster.field import eventually, field_on
from timerproject.embedded.server import EmbeddedServer

pytestmark = pytest.mark.cluster

WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s AND state = 'active'"


@pytest.mark.parametrize(
    ("table", "statement"),
    [("timers_claim", "%INSERT INTO timers_claim%"), ("timers_attempt", "%INSERT INTO timers_attempt%")],
    ids=["in a claim", "in a finish"],
)
def test_a_session_that_is_killed_in_the_midst_loses_and_doubles_nothing(
    server: EmbeddedServer, tmp_path: Path, table: str, statement: str
) -> None:
    with field_on(server, tmp_path) as field:
        node = field.start("a", "--workers", "1")
        with psycopg.connect(field.address) as locking:
            # ONLY: the node makes partitions meanwhile, and to lock these as well would be a deadlock with it.
            locking.execute(f"LOCK TABLE ONLY {table} IN EXCLUSIVE MODE")
            field.schedule("cluster.count", 100)
            os.kill(eventually(lambda: field.value(WAITING, statement)), signal.SIGKILL)
            # The server ends all sessions now, also the one that locks, and recovers.
            with suppress(psycopg.OperationalError):
                locking.execute("SELECT pg_sleep(20)")
        eventually(server.answers)
        field.wait_until_succeeded(100, within=30)
        assert node.poll() is None
        field.check_ledger(100)


def test_a_locked_table_delays_fires_by_the_lock_and_costs_no_lease(server: EmbeddedServer, tmp_path: Path) -> None:
    seconds = 8
    with field_on(server, tmp_path) as field:
        field.start("a", "--workers", "2")
        field.start("b", "--workers", "1")
        field.schedule("cluster.count", 50)
        field.wait_until_succeeded(50)
        field.run(_SPREAD)
        eventually(lambda: field.succeeded() > 60)
        with psycopg.connect(field.address) as locking:
            locking.execute("LOCK TABLE timers_timer IN ACCESS EXCLUSIVE MODE")
            time.sleep(seconds)
        field.wait_until_succeeded(250, within=30)
        late = field.value("SELECT max(extract(epoch FROM started_at - scheduled_for))::float8 FROM timers_attempt")
        assert late <= seconds + 5
        assert field.value("SELECT count(*) FROM timers_cluster_event WHERE kind = 'node died'") == 0
        field.check_ledger(250)


_SPREAD = """
from timers.scheduling import schedule_many
schedule_many([dict(kind="once", group="work", name=f"n-{n}", after=1 + n * 0.05, handler="cluster.count")
               for n in range(200)])
"""
