"""Short and long outages under every policy, on real nodes; longer ones are in the torture profile."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import outages
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


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seconds", [3, 61])
def test_what_comes_due_while_no_node_is_there_is_missed(field: Field, seconds: int) -> None:
    outages.node_is_down(field, seconds)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["timer", "group", "cluster"])
def test_what_comes_due_in_a_pause_is_missed(field: Field, what: str) -> None:
    outages.is_paused(field, 30, what)


def test_what_comes_due_while_the_database_is_down_is_missed(server: EmbeddedServer, tmp_path: Path) -> None:
    field = field_on(server, tmp_path)
    try:
        outages.database_is_down(field, lambda: kill(server), server.start, 5)
    finally:
        field.end()


def field_on(server: EmbeddedServer, folder: Path) -> Field:
    parameters = server.folder.parameters()
    host = str(parameters["host"]).replace("/", "%2F")
    field = Field(f"postgresql://{parameters['user']}@{host}:{parameters['port']}/{parameters['dbname']}", folder)
    field.manage("migrate", "-v", "0")
    return field


def kill(server: EmbeddedServer) -> None:
    postmaster = server.folder.data / "postmaster.pid"
    os.kill(int(postmaster.read_text().split()[0]), signal.SIGINT)
    eventually(lambda: not postmaster.exists())
