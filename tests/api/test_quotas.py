"""Quotas of a group, over HTTP: one more than is allowed is refused as such, and nothing is written."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.asking import Asking, fields, problem
from timers.models import Timer, TimerGroup

pytestmark = pytest.mark.django_db

TIMERS = "/groups/billing/timers"


def rate(name: str, **more: Any) -> dict[str, Any]:
    return {"kind": "fixed_rate", "name": name, "period": 60, **more}


@pytest.fixture(autouse=True)
def limited(api: Asking, billing: TimerGroup) -> None:
    quotas = {"max_timers": 3, "max_payload_bytes": 10, "min_interval": 60}
    said = api("PATCH", "/groups/billing", quotas)
    assert said.status_code == 200, said.content


def test_each_quota_is_told_and_kept(api: Asking) -> None:
    assert {name: api.get("/groups/billing")[name] for name in ("max_timers", "max_payload_bytes", "min_interval")} == {
        "max_timers": 3, "max_payload_bytes": 10, "min_interval": 60,
    }  # fmt: skip
    assert fields(problem(api("POST", TIMERS, rate("a", payload="x" * 9)), 422, "quota")) == ["payload"]
    assert fields(problem(api("POST", TIMERS, rate("a", period=59)), 422, "quota")) == ["schedule"]
    for name in "abc":
        api.post(TIMERS, rate(name, payload="x" * 8))
    assert fields(problem(api("POST", TIMERS, rate("d")), 422, "quota")) == ["max_timers"]
    assert fields(problem(api("PATCH", f"{TIMERS}/a", {"payload": "x" * 9}), 422, "quota")) == ["payload"]
    assert Timer.objects.count() == 3


def test_a_bulk_call_fills_what_is_left_and_refuses_the_rest(api: Asking) -> None:
    answer = api.post(f"{TIMERS}/bulk", [rate(f"{number}") for number in range(10)])
    assert (answer["created"], answer["refused"]) == (3, 7)
    assert Timer.objects.count() == 3


def test_a_bulk_call_that_is_all_or_nothing_writes_nothing(api: Asking) -> None:
    assert api("POST", f"{TIMERS}/bulk?atomic=true", [rate(f"{n}") for n in range(4)]).status_code == 422
    assert not Timer.objects.exists()


def test_a_bulk_call_tells_how_many_there_is_room_for(api: Asking) -> None:
    api.post(TIMERS, rate("a"))
    asked = [rate(f"{number}") for number in range(4)]
    said = problem(api("POST", f"{TIMERS}/bulk?atomic=true", asked), 422, "quota")
    assert "there are 1; there is room for 2 of these 4" in said["errors"][0]["message"]
    answer = api.post(f"{TIMERS}/bulk", asked)
    assert "room for 2 of these 4" in answer["results"][3]["errors"][0]["message"]
