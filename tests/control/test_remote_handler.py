"""Entry actions when they are saved."""

from __future__ import annotations

import pytest
from django.test import override_settings

from tests import factories
from tests.support.handlers import TemporaryHandlers
from timers.exceptions import InvalidRequest
from timers.scheduling import schedule_once
from timers.testing import VirtualTime

ENTRY = {"ENTRY_URL": "http://10.0.0.7:8000/api/v1/handlers", "ENTRY_KEY": "tk_1"}


@pytest.fixture(autouse=True)
def _(time: VirtualTime, handlers: TemporaryHandlers) -> None:
    handlers.add("vendors.process")
    factories.group("work", action=None)


def test_a_timer_may_call_the_handler_endpoint_that_the_settings_name() -> None:
    with override_settings(TIMERS=ENTRY):
        timer = schedule_once("work", "m", after=5, action={"kind": "remote_handler", "name": "vendors.process"})
    assert timer.action == {"kind": "remote_handler", "name": "vendors.process"}


def test_where_there_is_no_handler_endpoint_it_is_refused() -> None:
    with (
        override_settings(TIMERS={}),
        pytest.raises(InvalidRequest, match="action: this installation has no handler endpoint"),
    ):
        schedule_once("work", "m", after=5, action={"kind": "remote_handler", "name": "vendors.process"})


def test_a_handler_that_nobody_knows_is_refused_with_the_nearest() -> None:
    with override_settings(TIMERS=ENTRY), pytest.raises(InvalidRequest, match=r"did you mean vendors\.process"):
        schedule_once("work", "m", after=5, action={"kind": "remote_handler", "name": "vendors.proces"})
