"""Fixtures for pytest with pytest-django; name this module in the `pytest_plugins` of the root conftest.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from timers.testing.stepper import Stepper
from timers.testing.virtual_time import VirtualTime


@pytest.fixture
def timers_time(db: None) -> Iterator[VirtualTime]:  # noqa: ARG001 - asked for what it does
    """The database clock of the test's session, standing still at a Monday noon until it is moved."""
    with VirtualTime() as time:
        yield time


@pytest.fixture
def timers_node(timers_time: VirtualTime) -> Stepper:
    """A node that serves every group that requires no role, and does nothing until the test tells it to."""
    return Stepper(timers_time)
