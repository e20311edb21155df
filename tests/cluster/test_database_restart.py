"""PostgreSQL goes away under load and comes back: nodes go on by themselves."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.field import Field, eventually
from timerproject.embedded.folder import Folder
from timerproject.embedded.server import EmbeddedServer

pytestmark = pytest.mark.cluster


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    own = EmbeddedServer(Folder.at(tmp_path / "var"), durable=True)
    own.start()
    try:
        yield own
    finally:
        own.stop()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_a_restarted_database_loses_nothing_and_ends_no_node(
    server: EmbeddedServer, tmp_path: Path, how: signal.Signals
) -> None:
    parameters = server.folder.parameters()
    host = str(parameters["host"]).replace("/", "%2F")
    field = Field(f"postgresql://{parameters['user']}@{host}:{parameters['port']}/{parameters['dbname']}", tmp_path)
    try:
        field.manage("migrate", "-v", "0")
        node = field.start("a")
        field.schedule("cluster.work", 3000)
        eventually(lambda: field.succeeded() > 300)
        postmaster = server.folder.data / "postmaster.pid"
        os.kill(int(postmaster.read_text().split()[0]), how)
        eventually(lambda: not postmaster.exists())
        server.start()
        before = len(field.calls())
        eventually(lambda: len(field.calls()) > before + 50, within=10)
        field.wait_until_succeeded(3000)
        assert node.poll() is None
        field.check_ledger(3000)
    finally:
        field.end()
