"""The client against the real service: a web server in this process, on the test's database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from timers_client import TimersClient

from tests.support.committed import ledger_emptied_afterwards
from timers.access.authenticate import forget_known_keys
from timers.access.limits import forget_callers
from timers.lifecycle.control.keys import create_key


@pytest.fixture(autouse=True)
def _ledger(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test has written is gone before the next."""
    if "transactional_db" not in request.fixturenames:
        yield
        return
    with ledger_emptied_afterwards():
        yield


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
