"""Orders over the API: add, start, list, read, their history, and what is done to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import factories
from tests.api.asking import Asking, fields, problem
from timers.chains import create_chain, update_chain
from timers.domain.execution_id import try_id
from timers.models import Chain, Timer, TimerGroup

pytestmark = pytest.mark.django_db

ORDERS = "/groups/billing/chains/main/orders"


@pytest.fixture(autouse=True)
def main(billing: TimerGroup) -> Chain:
    noop = {"kind": "python", "handler": "timerbench.noop"}
    steps = {
        "a": {"action": noop, "next": "ask"},
        "ask": {"kind": "approval", "next": "go", "refused": "end"},
        "go": {"kind": "signal", "results": ["sum"], "next": "end"},
        "end": {"kind": "end"},
    }
    return create_chain("billing", "main", {"steps": steps})


def listed(api: Asking, query: str) -> list[str]:
    return [each["id"] for each in api.get(f"/orders?{query}")["items"]]


def test_order_is_added_and_read_before_it_begins(api: Asking) -> None:
    added = api("POST", ORDERS, {"name": "first", "variables": {"file": "x"}})
    assert added.status_code == 201
    told = api.post(ORDERS, {"name": "second", "after": 60})
    assert (told["result"], told["state"], told["chain"]) == ("created", "scheduled", "main")
    read = api.get(f"/orders/{told['id']}")
    assert (read["state"], read["name"], read["step"], read["version"]) == ("scheduled", "second", "", None)
    again = api("POST", ORDERS, {"name": "second", "on_conflict": "keep"})
    assert again.status_code == 200
    problem(api("POST", ORDERS, {"name": "second"}), 409, "name_taken")


def test_pending_order_is_started_by_its_name(api: Asking) -> None:
    told = api.post(ORDERS, {"name": "held", "pending": True})
    assert (told["state"], told["id"], Timer.objects.get().state) == ("pending", None, "paused")
    started = api.post(f"{ORDERS}/held/start")
    assert (started["state"], Timer.objects.get().state) == ("scheduled", "active")
    assert api.get(f"/orders/{started['id']}")["name"] == "held"
    problem(api("POST", f"{ORDERS}/held/start"), 409, "not_allowed_now")
    problem(api("POST", f"{ORDERS}/none/start"), 404, "not_found")


def test_order_that_is_added_wrongly_names_the_fields(api: Asking) -> None:
    for body, named in (
        ({}, {"name"}), ({"name": "x", "variables": 5}, {"variables"}), ({"name": "x", "payload": 1}, {"payload"}),
        ({"name": "x", "period": -1}, {"period"}), ({"name": "x", "pending": "yes"}, {"pending"}),
        ({"name": "x", "variables": {"a": "b" * 70_000}}, {"variables"}),
    ):  # fmt: skip
        assert named <= set(fields(problem(api("POST", ORDERS, body), 422, "invalid"))), body
    problem(api("POST", "/groups/billing/chains/none/orders", {"name": "x"}), 404, "not_found")
    assert not Timer.objects.exists()


def test_orders_are_listed_by_filters_and_pages(api: Asking, main: Chain) -> None:
    at_a = [str(factories.order(main, "a", ago=each).pk) for each in (1, 2, 3)]
    failed = factories.order(main, "a", "failed", ago=4)
    ended = factories.order(main, "end", "ended", ago=5, outcome="succeeded")
    branch = factories.order(main, "go", "awaiting", ago=6, root=failed.pk, parent=failed.pk, parent_round=1)
    assert listed(api, "") == [*at_a, str(failed.pk)]
    assert listed(api, "group=billing&chain=main&step=a") == [*at_a, str(failed.pk)]
    assert listed(api, "chain=main&state=failed") == [str(failed.pk)]
    assert listed(api, "state=ended") == [str(ended.pk)]
    assert listed(api, f"parent={failed.pk}") == listed(api, "step=go") == [str(branch.pk)]
    assert listed(api, "branches=true")[-1] == str(branch.pk)
    assert listed(api, f"name={failed.name}") == [str(failed.pk)]
    assert listed(api, "chain=none") == listed(api, "group=none") == listed(api, "name=none") == []
    page = api.get("/orders?chain=main&limit=2")
    rest = api.get(f"/orders?chain=main&limit=2&cursor={page['next']}")
    assert [each["id"] for each in page["items"] + rest["items"]] == [*at_a, str(failed.pk)]
    assert rest["next"] is None
    problem(api("GET", "/orders?state=claimed"), 422, "invalid")


def test_order_is_suspended_moved_resumed_skipped_reset_and_cancelled(api: Asking, main: Chain) -> None:
    order = f"/orders/{factories.order(main, 'ask', 'awaiting').pk}"
    assert api.post(f"{order}/suspend", {"reason": "call"})["state"] == "suspended"
    assert api.post(f"{order}/move", {"to": "go"})["step"] == "go"
    api.post(f"{order}/suspend")
    resumed = api.post(f"{order}/resume", {"at": "ask", "variables": {"colour": "red"}})
    assert (resumed["step"], resumed["state"], resumed["variables"]) == ("ask", "awaiting", {"colour": "red"})
    assert api.post(f"{order}/skip")["step"] == "go"
    assert api.post(f"{order}/reset")["step"] == "a"
    cancelled = api.post(f"{order}/cancel", {"reason": "not wanted"})
    assert (cancelled["state"], cancelled["outcome"], cancelled["reason"]) == ("ended", "cancelled", "not wanted")
    problem(api("POST", f"{order}/suspend"), 409, "not_allowed_now")
    assert api.get("/audit?limit=1")["items"][0]["verb"] == "order.cancel"


def test_order_is_resumed_with_another_version_and_prioritized(api: Asking, main: Chain) -> None:
    order = f"/orders/{factories.order(main, 'ask', 'suspended').pk}"
    update_chain("billing", "main", {"steps": {"ask": {"kind": "approval", "next": "end"}, "end": {"kind": "end"}}})
    resumed = api.post(f"{order}/resume", {"version": "newest"})
    assert (resumed["version"], resumed["state"]) == (2, "awaiting")
    for version in ("2", 0, 7):
        api.post(f"{order}/suspend")
        told = problem(api("POST", f"{order}/resume", {"version": version}), 422, "invalid")
        assert fields(told)[0].startswith("version")
    assert api.post(f"{order}/prioritize", {"priority": 9})["priority"] == 9
    assert fields(problem(api("POST", f"{order}/prioritize", {"priority": 10}), 422, "invalid")) == ["priority"]
    asked = {"verb": "prioritize", "filter": {"chain": "main"}, "priority": -1}
    assert len(api.post("/orders/by-filter", asked)["done"]) == 1
    assert api.get(order)["priority"] == -1


def test_order_is_approved_signalled_and_refused(api: Asking, main: Chain) -> None:
    order = f"/orders/{factories.order(main, 'ask', 'awaiting').pk}"
    assert api.post(f"{order}/approve")["step"] == "go"
    problem(api("POST", f"{order}/signals/stop"), 409, "not_allowed_now")
    told = api.post(f"{order}/signals/go", {"payload": {"sum": 12}})
    assert (told["outcome"], told["variables"]) == ("succeeded", {"sum": 12})
    other = f"/orders/{factories.order(main, 'ask', 'awaiting').pk}"
    assert api.post(f"{other}/refuse", {"reason": "too dear"})["step"] == "end"


def test_history_is_paged_and_ends_with_the_order(api: Asking, main: Chain) -> None:
    order = factories.order(main, "end", "ended", outcome="succeeded", attempts=3)
    begun_by = Timer.objects.get(id=order.timer_id)
    for number in (1, 2, 3):
        id_ = try_id(str(order.pk), number)
        factories.attempt(begun_by, "advanced", id=id_, number=number, step=f"s{number}", result={"n": number},
                          variables={"set": ["n"], "changed": ["m"]})  # fmt: skip
    factories.attempt(begun_by, id=order.pk, number=3)
    page = api.get(f"/orders/{order.pk}/history?limit=2")
    rest = api.get(f"/orders/{order.pk}/history?limit=2&cursor={page['next']}")
    rows = [(each["step"], each["outcome"]) for each in page["items"] + rest["items"]]
    assert rows == [("s1", "advanced"), ("s2", "advanced"), ("s3", "advanced"), ("", "succeeded")]
    first = page["items"][0]
    assert (first["set_variables"], first["changed_variables"]) == (["n"], ["m"])
    assert (page["items"][0]["result"], page["items"][0]["node"], rest["next"]) == ({"n": 1}, "node-a", None)


def test_many_orders_are_done_at_once_within_what_the_key_sees(
    api: Asking, main: Chain, new_key: Callable[..., str]
) -> None:
    orders = [str(factories.order(main, "ask", "awaiting", ago=each).pk) for each in (1, 2)]
    factories.group("mine")
    asked: dict[str, Any] = {"verb": "suspend", "filter": {"chain": "main"}, "reason": "x"}
    assert Asking(new_key("admin", groups=["mine"])).post("/orders/by-filter", asked)["done"] == []
    assert api.post("/orders/by-filter", asked) == {"done": orders, "refused": [], "next": None}
    told = api.post("/orders/by-filter", {"verb": "approve", "filter": {"chain": "main"}})
    assert [each["order"] for each in told["refused"]] == orders
    assert fields(problem(api("POST", "/orders/by-filter", {"verb": "stop", "filter": {}}), 422, "invalid")) == ["verb"]


def test_orders_of_other_groups_are_not_found(main: Chain, new_key: Callable[..., str]) -> None:
    order = factories.order(main, "ask", "awaiting")
    factories.group("mine")
    other = Asking(new_key("admin", groups=["mine"]))
    for method, path in (("GET", ""), ("GET", "/history"), ("POST", "/cancel"), ("POST", "/signals/go")):
        problem(other(method, f"/orders/{order.pk}{path}", None if method == "GET" else {}), 404, "not_found")
    assert other.get("/orders")["items"] == []
