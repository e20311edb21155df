"""Fixtures of tests that step a node through virtual time; a conftest imports those that its folder needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from tests import factories
from tests.support.handlers import TemporaryHandlers
from timers.models import TimerGroup
from timers.testing import Stepper, VirtualTime


@pytest.fixture(scope="module", autouse=True)
def _without_the_rows_of_others(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> None:
    """Each test rolls its rows back, which leaves them in the tables, dead: some thousands make every claim slower."""
    if not any(_uses_the_database(item) for item in request.session.items):
        return  # there is no database of the tests
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("VACUUM timers_timer, timers_claim, timers_waiting, timers_node")


def _uses_the_database(item: pytest.Item) -> bool:
    return "db" in getattr(item, "fixturenames", ()) or item.get_closest_marker("django_db") is not None


@pytest.fixture
def committed(transactional_db: None) -> None:
    """Rows are committed, so that other sessions see them; none are left."""


@pytest.fixture
def time(db: None) -> VirtualTime:
    """The database clock of the test's session; in a test on `committed` rows it is no transaction's."""
    return VirtualTime()


@pytest.fixture
def handlers() -> Iterator[TemporaryHandlers]:
    """Handlers for this test; `tests.noop`, which the factories' groups name, does nothing."""
    temporary = TemporaryHandlers()
    temporary.add("tests.noop")
    yield temporary
    temporary.forget()


@pytest.fixture
def group(time: VirtualTime, handlers: TemporaryHandlers) -> TimerGroup:
    """A group whose handler does nothing."""
    return factories.group("work")


@pytest.fixture
def orders(time: VirtualTime, handlers: TemporaryHandlers) -> TimerGroup:
    """A group for subscriptions: it has no action of its own, and there are handlers tests.a to tests.c."""
    for name in ("tests.a", "tests.b", "tests.c"):
        handlers.add(name)
    return factories.group("orders", action=None)


@pytest.fixture
def node(time: VirtualTime) -> Stepper:
    """A node that is driven step by step."""
    return Stepper(time, "node-a")
