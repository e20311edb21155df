"""Timers over the API."""

from __future__ import annotations

import pytest

from tests import factories
from tests.api.asking import Asking, fields, problem

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def billing() -> None:
    factories.group("billing")


RATE = {"kind": "fixed_rate", "name": "a", "period": 60, "payload": {"b": 2**60, "a": "ü"}}


def test_a_timer_that_was_scheduled_is_told_with_the_keywords_that_it_was_given(api: Asking) -> None:
    response = api("POST", "/groups/billing/timers", RATE)
    assert response.status_code == 201, response.content
    assert response.headers["Location"] == "/api/v1/groups/billing/timers/a"
    said = api.get("/groups/billing/timers/a")
    assert {word: said[word] for word in RATE} == RATE
    assert list(said["payload"]) == ["b", "a"]
    assert said["state"] == "active" and 0 < said["remaining"] <= 60
    assert said["in_flight"] == [] and said["last_result"] is None


def test_all_mistakes_are_told_at_once_and_nothing_is_written(api: Asking) -> None:
    wrong = {"kind": "fixed_rate", "name": "", "period": -1, "priority": 99}
    said = problem(api("POST", "/groups/billing/timers", wrong), 422, "invalid")
    assert set(fields(said)) == {"name", "period", "priority"}
    assert api.get("/groups/billing/timers") == {"items": [], "next": None}
