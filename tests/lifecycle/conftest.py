from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import factories
from tests.support.committed import ledger_emptied_afterwards
from tests.support.handlers import TemporaryHandlers
from timers.models import TimerGroup
from timers.testing import Stepper, VirtualTime


@pytest.fixture
def committed(transactional_db: None) -> Iterator[None]:
    """Rows are committed, so that other sessions see them; none are left."""
    with ledger_emptied_afterwards():
        yield


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
