"""The client against the real service: a web server in this process, on the test's database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from timers_client import TimersClient
from timers_client.ctl.main import main

from tests.support.eventually import eventually
from timers.control.keys import create_key
from timers.security.authentication import forget_known_keys
from timers.security.rate_limits import forget_callers


@pytest.fixture(autouse=True)
def _sessions(request: pytest.FixtureRequest) -> Iterator[None]:
    """The sessions of a test's server's threads have ended before the next."""
    yield
    if "transactional_db" in request.fixturenames:
        eventually(_is_alone)


def _is_alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend')"
        )
        return bool(cursor.fetchone()[0])


@pytest.fixture
def key(transactional_db: None) -> str:
    """A key that may do everything."""
    forget_known_keys()
    forget_callers()
    user = get_user_model().objects.create_superuser("root")
    _, text = create_key("client", user=user, scopes=["admin"], all_groups=True)
    return text


@pytest.fixture
def client(live_server: Any, key: str) -> Iterator[TimersClient]:
    with TimersClient(live_server.url, key) as client:
        yield client


@pytest.fixture
def ctl(client: TimersClient, live_server: Any, key: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command, and returns its exit code."""
    client.create_group("g", action={"kind": "pull"}, retry={"min_backoff": 0})
    monkeypatch.setenv("TIMER_SERVICE_URL", live_server.url)
    monkeypatch.setenv("TIMER_SERVICE_KEY", key)
    return lambda *words: main(words)
