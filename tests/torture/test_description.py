"""The whole description of the API, asked more of it than on every day."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.api.describing import MODES, ask_by_description
from tests.api.samples import Samples
from timers.api.route import ROUTES, Route
from timers.models import TimerGroup

pytestmark = [pytest.mark.torture, pytest.mark.django_db(transaction=True)]

EXAMPLES = 25


@pytest.mark.parametrize("route", [pytest.param(route, id=f"{route.method} {route.path}") for route in ROUTES])
@pytest.mark.parametrize("mode", MODES)
def test_every_answer_is_described(route: Route, mode: str, billing: TimerGroup, new_key: Callable[..., str]) -> None:
    ask_by_description(route, mode, Samples(billing), new_key("admin"), examples=EXAMPLES)
