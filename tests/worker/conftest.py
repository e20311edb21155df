from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections

from tests.support.handlers import TemporaryHandlers
from tests.support.targets import Town, town
from tests.worker import handler_thread
from tests.worker.calling import Caller
from timers.testing import Stepper, VirtualTime


@pytest.fixture
def handlers() -> Iterator[TemporaryHandlers]:
    """Handlers for this test; `tests.noop` does nothing."""
    temporary = TemporaryHandlers()
    temporary.add("tests.noop")
    yield temporary
    temporary.forget()


@pytest.fixture
def committed(transactional_db: None) -> None:
    """Rows are committed, so that other sessions see them; none are left."""


@pytest.fixture
def time(db: None) -> VirtualTime:
    """The database clock of the test's session."""
    return VirtualTime()


@pytest.fixture
def node(time: VirtualTime) -> Stepper:
    """A node that is driven step by step."""
    return Stepper(time, "node-a")


@pytest.fixture
def here() -> Iterator[Town]:
    """Targets on this host."""
    with town() as made:
        yield made


@pytest.fixture
def caller() -> Iterator[Caller]:
    """Calls that may go to this host."""
    made = Caller()
    yield made
    made.loop.stop()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process as a worker prepares it; afterwards it is as before."""
    yield from handler_thread.watched(monkeypatch)


@pytest.fixture
def thread(handlers: TemporaryHandlers, watched: None) -> Iterator[handler_thread.Thread]:
    """A watched handler thread."""
    made = handler_thread.Thread(handlers)
    yield made
    made.run(lambda fire: connections.close_all())
    made.pool.stop()
