"""Subscriptions over the API: subscribe, list, read, change, pause, resume, delete."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests import factories
from tests.api.asking import Asking, fields, problem
from timers.models import TimerGroup

pytestmark = pytest.mark.django_db

SUBSCRIPTIONS = "/groups/orders/subscriptions"


@pytest.fixture(autouse=True)
def orders(db: None) -> TimerGroup:
    return factories.group("orders", action={"kind": "pull"})


def subscribe(api: Asking, name: str, **more: Any) -> Any:
    return api.post(SUBSCRIPTIONS, {"name": name, "mode": "broadcast", "action": {"kind": "pull"}, **more})


def claim(api: Asking, subscription: str) -> list[dict[str, Any]]:
    body = {"consumer": "c", "subscription": subscription, "limit": 10}
    return list(api.post("/groups/orders/claims", body)["messages"])


def test_each_subscriber_gets_an_execution_of_its_own_and_settles_it_alone(api: Asking) -> None:
    subscribe(api, "mail")
    subscribe(api, "stock", description="Keeps count", retry={"max_retries": 0})
    api.post("/groups/orders/timers", {"kind": "once", "name": "a", "after": 0, "payload": 1})
    (mail,), (stock,) = claim(api, "mail"), claim(api, "stock")
    assert mail["execution"] != stock["execution"]
    assert (mail["envelope"]["Subscription"], stock["envelope"]["Subscription"]) == ("mail", "stock")
    api.post(f"/executions/{mail['execution']}/commit", {"token": mail["token"]})
    api.post(f"/executions/{stock['execution']}/discard", {"token": stock["token"]})
    assert api.get(f"/executions/{mail['execution']}")["state"] == "succeeded"
    assert api.get(f"/executions/{stock['execution']}")["state"] == "failed"


def test_only_what_a_filter_lets_through_is_delivered(api: Asking) -> None:
    subscribe(api, "large", filter={"payload": {"total": {"at_least": 100}}})
    subscribe(api, "all")
    for name, total in (("a", 5), ("b", 500)):
        body = {"kind": "once", "name": name, "after": 0, "payload": {"total": total}}
        api.post("/groups/orders/timers", body)
    assert [each["envelope"]["Name"] for each in claim(api, "large")] == ["b"]
    assert sorted(each["envelope"]["Name"] for each in claim(api, "all")) == ["a", "b"]


def test_they_are_listed_read_and_changed_under_their_version(api: Asking) -> None:
    made = api("POST", SUBSCRIPTIONS, {"name": "mail", "action": {"kind": "pull"}})
    assert made.status_code == 201
    subscribe(api, "stock")
    assert [each["name"] for each in api.get(SUBSCRIPTIONS)["items"]] == ["mail", "stock"]
    changed = api("PATCH", f"{SUBSCRIPTIONS}/mail", {"description": "x"}, If_Match=made.headers["ETag"])
    assert json.loads(changed.content)["description"] == "x"
    problem(
        api("PATCH", f"{SUBSCRIPTIONS}/mail", {"description": "y"}, If_Match=made.headers["ETag"]), 409, "stale_version"
    )
    assert api.get(f"{SUBSCRIPTIONS}/mail")["description"] == "x"


def test_one_that_is_paused_gets_nothing_until_it_is_resumed_and_then_what_waited(api: Asking) -> None:
    subscribe(api, "mail")
    said = api.post(f"{SUBSCRIPTIONS}/mail/pause", {"reason": "upgrade"})
    assert (said["state"], said["state_reason"]) == ("paused", "upgrade")
    api.post("/groups/orders/timers", {"kind": "once", "name": "a", "after": 0})
    assert claim(api, "mail") == []
    assert api.post(f"{SUBSCRIPTIONS}/mail/resume")["state"] == "active"
    assert [each["envelope"]["Name"] for each in claim(api, "mail")] == ["a"]


def test_of_one_that_is_deleted_nothing_waits_any_more(api: Asking) -> None:
    subscribe(api, "mail", retry={"max_retries": 5, "min_backoff": 600})
    api.post("/groups/orders/timers", {"kind": "once", "name": "a", "after": 0})
    (message,) = claim(api, "mail")
    api.post(f"/executions/{message['execution']}/discard", {"token": message["token"]})
    said = json.loads(api("DELETE", f"{SUBSCRIPTIONS}/mail?reason=gone").content)
    assert said == {"cancelled": 1, "handed_over": 0, "in_flight": []}
    assert api.get(SUBSCRIPTIONS)["items"] == []
    problem(api("GET", f"{SUBSCRIPTIONS}/mail"), 404, "not_found")


def test_what_is_asked_wrongly_names_the_field(api: Asking) -> None:
    whole = {"name": "mail", "action": {"kind": "pull"}}
    for wrong, field in (
        ({"name": ""}, "name"), ({"mode": "both"}, "mode"), ({"action": {"kind": "http"}}, "action.url"),
        ({"filter": {"payload": {"a": {"near": 1}}}}, "filter.payload.a"), ({"modus": "queue"}, "modus"),
        ({"retry": {"max_retries": -1}}, "retry.max_retries"),
    ):  # fmt: skip
        (named,) = fields(problem(api("POST", SUBSCRIPTIONS, {**whole, **wrong}), 422, "invalid"))
        assert named.startswith(field)
    subscribe(api, "mail")
    assert fields(problem(api("POST", SUBSCRIPTIONS, whole), 409, "name_taken")) == ["name"]
    problem(api("POST", "/groups/none/subscriptions", whole), 404, "not_found")


def test_who_does_not_see_the_group_does_not_see_who_subscribes(api: Asking, new_key: Callable[..., str]) -> None:
    factories.group("mine")
    subscribe(api, "mail")
    other = Asking(new_key("admin", groups=["mine"]))
    problem(other("GET", SUBSCRIPTIONS), 404, "not_found")
    for method, path in (("PATCH", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume")):
        problem(other(method, f"{SUBSCRIPTIONS}/mail{path}", {}), 404, "not_found")
    assert api.get(f"{SUBSCRIPTIONS}/mail")["state"] == "active"
