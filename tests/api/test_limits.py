"""Limits of a group, over HTTP: set, told, refused, and named as the reason where a timer waits for them."""

from __future__ import annotations

from typing import Any

import pytest

from tests import factories
from tests.api.asking import Asking, fields, problem
from timers.models import TimerGroup

pytestmark = pytest.mark.django_db

GROUP = "/groups/billing"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_concurrency", 5),
        ("max_rate", "50/s"),
        ("concurrency_key", "payload.tenant"),
        ("max_concurrency_per_key", 5),
        ("max_rate_per_key", "10/30s"),
    ],
)
def test_each_limit_is_set_told_and_taken_away(api: Asking, billing: TimerGroup, field: str, value: Any) -> None:
    assert api.get(GROUP)[field] is None
    for given in (value, None):
        said = api("PATCH", GROUP, {field: given})
        assert said.status_code == 200, said.content
        assert api.get(GROUP)[field] == given


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_concurrency", 0),
        ("max_concurrency", -1),
        ("max_rate", "0/s"),
        ("max_rate", 50),
        ("concurrency_key", "tenant"),
        ("max_concurrency_per_key", 0),
        ("max_rate_per_key", "1"),
    ],
)
def test_a_limit_of_nothing_is_refused(api: Asking, billing: TimerGroup, field: str, value: Any) -> None:
    assert fields(problem(api("PATCH", GROUP, {field: value}), 422, "invalid")) == [field]


def test_a_timer_that_waits_for_a_limit_says_so(api: Asking, billing: TimerGroup) -> None:
    TimerGroup.objects.filter(id=billing.id).update(max_concurrency=1)
    running = factories.timer("running", in_group=billing)
    factories.claim(factories.node(handlers=["timerbench.noop"]), running)
    factories.timer("waiting", in_group=billing, due_in=-5)
    told = api.get(f"{GROUP}/timers/waiting")
    assert told["effective_state"] == "waiting"
    assert told["state_reason"].endswith("has 1 execution claimed, the most at once (max_concurrency)")
    assert told["due_since"] is not None
    listed = {each["name"]: each["effective_state"] for each in api.get(f"{GROUP}/timers")["items"]}
    assert listed == {"running": "active", "waiting": "waiting"}


def test_a_timer_names_its_key_itself(api: Asking, billing: TimerGroup) -> None:
    timer = {"kind": "once", "name": "a", "after": 60, "concurrency_key": "acme"}
    assert api.post(f"{GROUP}/timers", timer)["concurrency_key"] == "acme"
    assert api.get(f"{GROUP}/timers/a")["concurrency_key"] == "acme"
    assert api("PATCH", f"{GROUP}/timers/a", {"concurrency_key": None}).status_code == 200
    assert api.get(f"{GROUP}/timers/a")["concurrency_key"] is None
    assert fields(problem(api("PATCH", f"{GROUP}/timers/a", {"concurrency_key": ""}), 422, "invalid")) == [
        "concurrency_key"
    ]


def test_a_one_shot_is_debounced(api: Asking, billing: TimerGroup) -> None:
    timer = {"kind": "once", "name": "a", "after": 600, "on_conflict": "replace", "debounce_max_wait": "PT1M"}
    assert 0 < api.post(f"{GROUP}/timers", timer)["remaining"] <= 60
    refused = problem(api("POST", f"{GROUP}/timers", {**timer, "name": "b", "on_conflict": "keep"}), 422, "invalid")
    assert fields(refused) == ["debounce_max_wait"]
