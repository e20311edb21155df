"""Groups over the API."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.api.asking import Asking, fields, problem
from timers.api.groups import FIELDS
from timers.control.groups import EDITABLE
from timers.models import Timer, TimerGroup

pytestmark = pytest.mark.django_db


def test_the_description_knows_the_fields_that_the_service_knows() -> None:
    assert frozenset(FIELDS) == EDITABLE


def test_a_group_is_created_read_changed_and_deleted(api: Asking) -> None:
    body = {"name": "reports", "action": {"kind": "pull"}, "retry": {"max_retries": 2}, "max_timers": 10}
    created = api("POST", "/groups", body)
    assert created.status_code == 201
    said = api.get("/groups/reports")
    assert (said["action"], said["retry"]["max_retries"], said["max_timers"]) == ({"kind": "pull"}, 2, 10)
    changes = {"misfire_policy": "skip", "placement": "lead"}
    changed = json.loads(api("PATCH", "/groups/reports", changes, If_Match=created.headers["ETag"]).content)
    assert (said["placement"], changed["placement"], changed["misfire_policy"]) == ("distributed", "lead", "skip")
    problem(api("PATCH", "/groups/reports", {"priority": 1}, If_Match=created.headers["ETag"]), 409, "stale_version")
    assert api("DELETE", "/groups/reports").status_code == 204
    problem(api("GET", "/groups/reports"), 404, "not_found")


def test_a_group_that_has_timers_is_deleted_by_force_only(api: Asking) -> None:
    api.post("/groups", {"name": "reports", "action": {"kind": "pull"}})
    api.post("/groups/reports/timers", {"kind": "once", "name": "a", "after": 60})
    problem(api("DELETE", "/groups/reports"), 409, "not_allowed_now")
    assert api("DELETE", "/groups/reports?force=true").status_code == 204
    assert not Timer.objects.exists() and not TimerGroup.objects.exists()


def test_a_group_is_paused_and_resumed(api: Asking) -> None:
    api.post("/groups", {"name": "reports"})
    said = api.post("/groups/reports/pause", {"reason": "audit", "until": "2099-01-01T00:00:00Z"})
    assert (said["state"], said["state_reason"], said["paused_until"]) == ("paused", "audit", "2099-01-01T00:00:00Z")
    assert api.post("/groups/reports/resume")["state"] == "active"


def test_a_name_that_is_taken_is_refused(api: Asking) -> None:
    api.post("/groups", {"name": "reports"})
    assert fields(problem(api("POST", "/groups", {"name": "reports"}), 409, "name_taken")) == ["name"]


@pytest.mark.parametrize("wrong", [{"required_roles": 5}, {"description": 5}, {"shards": "2"}, {"retry": []}])
def test_a_field_of_another_type_is_refused_by_name(wrong: dict[str, object], api: Asking) -> None:
    said = problem(api("POST", "/groups", {"name": "a", **wrong}), 422, "invalid")
    assert fields(said)[0].startswith(next(iter(wrong)))


def test_a_key_for_some_groups_makes_no_others(api: Asking, new_key: Callable[..., str]) -> None:
    api.post("/groups", {"name": "mine"})
    limited = Asking(new_key("admin", groups=["mine"]))
    assert fields(problem(limited("POST", "/groups", {"name": "theirs"}), 422, "invalid")) == ["name"]
    assert limited("PATCH", "/groups/mine", {"priority": 1}).status_code == 200
