"""The database server stands still, or has no connection left: nodes go on by themselves."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.cluster.field import Field, eventually, field_on
from tests.torture.live.system import processes_below
from timerproject.embedded.folder import Folder
from timerproject.embedded.server import EmbeddedServer

pytestmark = pytest.mark.torture

RESUME = 10
"""Seconds in which firing goes on after the database does."""


def test_a_server_that_stands_still_ends_no_node_and_firing_goes_on_with_it(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    with field_on(server, tmp_path) as field:
        node = field.start("a", "--workers", "1")
        field.schedule("cluster.slow_first", 2, payload=60)
        eventually(lambda: len(field.calls()) == 2)
        field.schedule("cluster.work", 500)
        with standing_still(server):
            # The node ends what it runs before others could take it over.
            eventually(lambda: "are stopped before the lease ends" in field.log("a"), within=15)
            time.sleep(3)
        before, resumed_at = len(field.calls()), time.monotonic()
        eventually(lambda: len(field.calls()) > before, within=20)
        assert time.monotonic() - resumed_at <= RESUME
        field.wait_until_succeeded(502)
        assert node.poll() is None
        field.check_ledger(502)


@contextmanager
def standing_still(server: EmbeddedServer) -> Iterator[None]:
    """SIGSTOP of the postmaster and all its processes: connections stay open, and nothing answers."""
    postmaster = server.pid()
    assert postmaster is not None
    pids = [postmaster, *processes_below(postmaster)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


def test_a_node_outlives_a_server_without_free_connections(tmp_path: Path) -> None:
    small = EmbeddedServer(Folder.at(tmp_path / "var"), durable=True, settings={"max_connections": "25"})
    small.start()
    try:
        with field_on(small, tmp_path) as field, psycopg.connect(field.address, autocommit=True) as asking:
            node = field.start("a", "--workers", "1")
            field.schedule("cluster.count", 20)
            field.wait_until_succeeded(20)
            field.schedule("cluster.count", 1)
            (worker,) = field.worker_pids("a")
            with all_connections_taken(field) as take:
                os.kill(worker, signal.SIGKILL)
                eventually(lambda: take() or "a worker waits for the database" in field.log("a"), within=20)
                beat = "SELECT heartbeat_at FROM timers_node"
                [(before,)] = asking.execute(beat).fetchall()
                eventually(lambda: asking.execute(beat).fetchall() > [(before,)], within=5)
            released_at = time.monotonic()
            field.schedule("cluster.work", 20)
            field.wait_until_succeeded(41, within=30)
            assert time.monotonic() - released_at <= RESUME
            assert node.poll() is None
            assert field.value("SELECT count(*) FROM timers_cluster_event WHERE kind = 'node died'") == 0
    finally:
        small.stop()


@contextmanager
def all_connections_taken(field: Field) -> Iterator[Any]:
    """Take every connection that is free; the function that is given takes those that have become free since."""
    taken: list[psycopg.Connection[Any]] = []

    def take() -> None:
        with suppress(psycopg.OperationalError):
            while True:
                taken.append(psycopg.connect(field.address, autocommit=True))

    take()
    try:
        yield take
    finally:
        for connection in taken:
            connection.close()
