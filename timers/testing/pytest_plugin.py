"""Fixtures for pytest with pytest-django; add this module to `pytest_plugins` in the root conftest.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from timers.testing.stepper import Stepper
from timers.testing.virtual_time import VirtualTime


@pytest.fixture
def timers_time(db: None) -> Iterator[VirtualTime]:  # noqa: ARG001 - used for its side effect
    """The database clock of the test's session, stopped at a Monday noon until the test moves it."""
    with VirtualTime() as time:
        yield time


@pytest.fixture
def timers_node(timers_time: VirtualTime) -> Stepper:
    """A node that serves every group without required roles, and does nothing until the test calls it."""
    return Stepper(timers_time)
