"""A database that is not migrated is answered in one line that says what to do, and logged in one line."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client

from timers.server import unmigrated
from timers.server.unmigrated import NOT_MIGRATED


@pytest.fixture
def unmigrated_database(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of a database in which no table is found."""
    monkeypatch.setattr(unmigrated, "migrations_are_missing", lambda: True)
    with connection.cursor() as cursor:
        cursor.execute("SET search_path TO pg_catalog")
    yield Client(raise_request_exception=False)
    connection.rollback() if not connection.in_atomic_block else None


@pytest.mark.parametrize("path", ["/login/", "/api/v1/groups"])
def test_request_to_an_unmigrated_database_is_answered_503_with_the_remedy(
    path: str, unmigrated_database: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client = unmigrated_database
    client.cookies["sessionid"] = "k" * 32
    answer = client.get(path)
    assert answer.status_code == 503
    said = json.loads(answer.content)["detail"] if path.startswith("/api/") else answer.text.strip()
    assert said == NOT_MIGRATED
    ours = [record for record in caplog.records if record.name.startswith("timers")]
    assert [(record.getMessage(), record.exc_info) for record in ours] == [(NOT_MIGRATED, None)]
