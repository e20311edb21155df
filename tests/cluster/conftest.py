"""Each test of this folder has a database of its own on the run's throw-away server, already migrated."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections
from psycopg import sql

from tests.cluster.field import Field
from tests.support.server import process_environment
from tests.support.targets import Town, town
from timerproject.embedded.folder import Folder
from timerproject.embedded.server import EmbeddedServer
from timers.security.encryption import new_key


@pytest.fixture
def field(transactional_db: None, tmp_path: Path) -> Iterator[Field]:
    """Copied from the run's migrated test database, which nobody may be connected to meanwhile."""
    template = connections["default"].settings_dict["NAME"]
    name = f"test_field_{uuid.uuid4().hex[:12]}"
    connections.close_all()
    environment = process_environment()
    address = environment["DATABASE_URL"]
    base, _, _ = address.rpartition("/")
    with psycopg.connect(f"{base}/postgres", autocommit=True) as server:
        _copy(server, template, name)
        prepared = Field(f"{base}/{name}", tmp_path, asks_in_one_session=True)
        with psycopg.connect(prepared.address, autocommit=True) as connection:
            connection.execute("TRUNCATE timers_timer_group, timers_attempt, timers_node, timers_waiting CASCADE")
        try:
            yield prepared
        finally:
            prepared.end()
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A database server of the test's own, which it may stop and start."""
    own = EmbeddedServer(Folder.at(tmp_path / "var"), durable=True)
    own.start()
    try:
        yield own
    finally:
        own.stop()


@pytest.fixture
def here() -> Iterator[Town]:
    """Targets on this host."""
    with town() as made:
        yield made


@pytest.fixture
def calling(field: Field) -> Field:
    """Nodes that may call this host."""
    field.settings |= {
        "TIMERS_HTTP_ALLOW_PRIVATE": "127.0.0.1",
        "TIMERS_HTTP_ALLOW_PLAIN": "true",
        "TIMERS_HTTP_PORTS": "any",
        "TIMERS_ENCRYPTION_KEYS": new_key(date(2026, 1, 1)),
    }
    return field


def _copy(server: psycopg.Connection[Any], template: str, name: str) -> None:
    server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
