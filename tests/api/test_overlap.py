"""A run in addition to the schedule says what it does while an execution has not ended."""

from __future__ import annotations

from typing import Any

import pytest

from tests import factories
from tests.api.asking import Asking, fields, problem

pytestmark = pytest.mark.django_db

TIMER = "/groups/orders/timers/a"


@pytest.fixture
def held(api: Asking) -> dict[str, Any]:
    """The message of a timer whose overlap policy is skip, claimed and not ended."""
    factories.group("orders", action={"kind": "pull"})
    api.post("/groups/orders/timers", {"kind": "once", "name": "a", "after": 0})
    (message,) = api.post("/groups/orders/claims", {"consumer": "c"})["messages"]
    return dict(message)


def test_a_manual_run_that_overlaps_is_a_conflict_that_names_the_execution(api: Asking, held: dict[str, Any]) -> None:
    said = problem(api("POST", f"{TIMER}/fire"), 409, "not_allowed_now")
    assert held["execution"] in said["detail"]


def test_a_manual_run_may_overlap_where_the_call_says_so(api: Asking, held: dict[str, Any]) -> None:
    assert api.post(f"{TIMER}/fire", {"overlap": "allow"})["execution"] != held["execution"]


def test_a_replay_obeys_the_overlap_policy_too(api: Asking, held: dict[str, Any]) -> None:
    api.post(f"/executions/{held['execution']}/commit", {"token": held["token"]})
    first = api.post(f"/executions/{held['execution']}/replay")["execution"]
    problem(api("POST", f"/executions/{held['execution']}/replay"), 409, "not_allowed_now")
    second = api.post(f"/executions/{held['execution']}/replay", {"overlap": "allow"})["execution"]
    assert first != second


def test_an_unknown_overlap_is_told_by_its_field(api: Asking, held: dict[str, Any]) -> None:
    response = api("POST", f"{TIMER}/fire", {"overlap": "sometimes"})
    assert fields(problem(response, 422, "invalid")) == ["overlap"]


def test_retry_blocks_is_a_policy_of_groups_and_timers(api: Asking) -> None:
    api.post("/groups", {"name": "g", "action": {"kind": "pull"}, "retry_blocks": False})
    assert api.get("/groups/g")["retry_blocks"] is False
    api.post("/groups/g/timers", {"kind": "once", "name": "t", "after": 60, "overrides": {"retry_blocks": True}})
    assert api.get("/groups/g/timers/t")["overrides"] == {"retry_blocks": True}
    response = api("PATCH", "/groups/g", {"retry_blocks": "no"})
    assert fields(problem(response, 422, "invalid")) == ["retry_blocks"]
