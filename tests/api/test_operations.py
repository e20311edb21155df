"""Failures by fault, and operations on many of them, over the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import factories
from tests.api.asking import Asking, fields, problem
from timers.engine.operations import carry_out
from timers.models import Attempt, TimerGroup, Waiting

pytestmark = pytest.mark.django_db

FAULT = "f" * 32


@pytest.fixture
def billing(db: None) -> TimerGroup:
    group = factories.group("billing")
    factories.node(handlers=["tests.noop"])
    for number in range(3):
        timer = factories.timer(f"t{number}", in_group=group)
        factories.waiting(timer, error_fingerprint=FAULT, ago=100 - number)
    factories.waiting(factories.timer("other", in_group=group), error_title="OSError: refused", ago=5)
    return group


def carried_out() -> None:
    while carry_out() == 0.0:
        pass


def begin(api: Asking, verb: str = "retry", **body: Any) -> dict[str, Any]:
    response = api("POST", "/operations", {"verb": verb, "filter": {"group": "billing"}, **body})
    assert response.status_code == 202, response.content
    return dict(response.json())  # type: ignore[attr-defined]


@pytest.mark.usefixtures("billing")
def test_failures_are_told_by_fault_those_of_most_executions_first(api: Asking) -> None:
    said = api.get("/failures")
    assert [(each["title"], each["count"], each["groups"]) for each in said["items"]] == [
        ("ValueError: no such vendor", 3, ["billing"]), ("OSError: refused", 1, ["billing"]),
    ]  # fmt: skip
    assert said["items"][0]["fingerprint"] == FAULT
    assert said["items"][0]["oldest"] < said["items"][0]["newest"]
    assert api.get(f"/executions/{said['items'][0]['example']}")["timer"] == "t2"
    assert api.get("/failures?group=none")["items"] == []


@pytest.mark.usefixtures("billing")
def test_all_of_one_fault_are_retried_in_the_background_and_the_progress_is_told(api: Asking) -> None:
    said = api.post("/executions/retry", {"filter": {"fingerprint": FAULT}, "reason": "vendor is there"})
    assert (said["state"], said["verb"], said["total"], said["done"]) == ("running", "retry", 3, 0)
    carried_out()
    said = api.get(f"/operations/{said['id']}")
    assert (said["state"], said["done"], said["refused"], said["created_by"]) == ("done", 3, 0, "key key-1")
    assert said["ended_at"] is not None
    assert set(Waiting.objects.values_list("name", "state")) == {
        ("t0", "ready"), ("t1", "ready"), ("t2", "ready"), ("other", "failed"),
    }  # fmt: skip


@pytest.mark.usefixtures("billing")
def test_all_of_a_timer_are_dismissed(api: Asking) -> None:
    body = {"filter": {"group": "billing", "timer": "t1"}, "reason": "rehearsal"}
    said = api.post("/executions/dismiss", body)
    carried_out()
    why = f"dismissed by key key-1 (operation {said['id']}): rehearsal"
    assert list(Attempt.objects.values_list("name", "outcome", "reason")) == [("t1", "failed", why)]


def test_what_fails_after_the_asking_is_not_meant(api: Asking, billing: TimerGroup) -> None:
    said = begin(api, "dismiss")
    factories.waiting(factories.timer("later", in_group=billing))
    carried_out()
    assert api.get(f"/operations/{said['id']}")["done"] == 4
    assert list(Waiting.objects.values_list("name", flat=True)) == ["later"]


@pytest.mark.usefixtures("billing")
def test_an_operation_is_paused_resumed_made_slower_and_cancelled(api: Asking) -> None:
    path = f"/operations/{begin(api)['id']}"
    assert api.post(f"{path}/pause", {"reason": "too fast"})["state"] == "paused"
    carried_out()
    assert api.get(path)["done"] == 0
    assert (api("PATCH", path, {"pace": 2.5}).status_code, api.get(path)["pace"]) == (200, 2.5)
    assert (api("PATCH", path, {"pace": None}).status_code, api.get(path)["pace"]) == (200, None)
    assert api.post(f"{path}/resume")["state"] == "running"
    said = api.post(f"{path}/cancel", {"reason": "enough"})
    assert (said["state"], said["state_reason"]) == ("cancelled", "cancelled by key key-1: enough")
    carried_out()
    assert (api.get(path)["done"], Waiting.objects.filter(state="failed").count()) == (0, 4)
    for verb in ("pause", "resume", "cancel"):
        problem(api("POST", f"{path}/{verb}"), 409, "not_allowed_now")


@pytest.mark.usefixtures("billing")
def test_operations_are_listed_newest_first_by_state(api: Asking) -> None:
    ids = [begin(api)["id"] for _ in range(3)]
    api.post(f"/operations/{ids[1]}/cancel")
    first = api.get("/operations?limit=2")
    rest = api.get(f"/operations?limit=2&cursor={first['next']}")
    assert [each["id"] for each in [*first["items"], *rest["items"]]] == ids[::-1]
    assert [each["id"] for each in api.get("/operations?state=cancelled")["items"]] == [ids[1]]


@pytest.mark.usefixtures("billing")
def test_a_repeated_asking_begins_one_operation(api: Asking) -> None:
    body = {"verb": "retry", "filter": {"all": True}}
    said = [api.post("/operations", body, Idempotency_Key="k")["id"] for _ in range(2)]
    assert said[0] == said[1]
    assert len(api.get("/operations")["items"]) == 1


@pytest.mark.usefixtures("billing")
def test_what_is_asked_wrongly_names_the_field_and_begins_nothing(api: Asking) -> None:
    whole = {"verb": "retry", "filter": {"all": True}}
    for wrong, field in (
        ({"verb": "mend"}, "verb"), ({"filter": {}}, "filter"), ({"filter": {"grop": "a"}}, "grop"),
        ({"pace": 0}, "pace"), ({"pace": "fast"}, "pace"), ({"reasn": ""}, "reasn"),
        ({"filter": {"failed_before": "x"}}, "failed_before"),
    ):  # fmt: skip
        (named,) = fields(problem(api("POST", "/operations", {**whole, **wrong}), 422, "invalid"))
        assert named.rpartition(".")[2] == field
    assert api.get("/operations")["items"] == []
    for operation in ("999", "none", "-1", "9" * 30):
        problem(api("GET", f"/operations/{operation}"), 404, "not_found")
        problem(api("POST", f"/operations/{operation}/pause"), 404, "not_found")


def test_a_key_for_certain_groups_means_these_and_sees_no_other_operation(
    api: Asking, billing: TimerGroup, new_key: Callable[..., str]
) -> None:
    mine = factories.group("mine")
    factories.waiting(factories.timer("m", in_group=mine))
    all_of_them = begin(api, filter={"all": True})
    other = Asking(new_key("operate", "read", groups=["mine"]))
    assert [each["groups"] for each in other.get("/failures")["items"]] == [["mine"]]
    assert other.get(f"/failures?group={billing.name}")["items"] == []
    assert other.get("/operations")["items"] == []
    problem(other("GET", f"/operations/{all_of_them['id']}"), 404, "not_found")
    api.post(f"/operations/{all_of_them['id']}/cancel")
    said = other.post("/executions/dismiss", {"filter": {"all": True}})
    assert said["total"] == 1
    carried_out()
    assert (other.get(f"/operations/{said['id']}")["done"], Waiting.objects.count()) == (1, 4)
