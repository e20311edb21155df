"""Chains over the API: create, read, new versions, compare, stop and skip steps, delete."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests import factories
from tests.api.asking import Asking, fields, problem
from timers.models import Chain, TimerGroup

pytestmark = pytest.mark.django_db

CHAINS = "/groups/billing/chains"
NOOP = {"kind": "python", "handler": "timerbench.noop"}


def steps(*names: str) -> dict[str, Any]:
    """A definition of these steps, one after the other."""
    following = [*names[1:], "end"]
    actions = {name: {"action": NOOP, "next": after} for name, after in zip(names, following, strict=True)}
    return {"steps": {**actions, "end": {"kind": "end"}}}


@pytest.fixture(autouse=True)
def two(billing: TimerGroup, api: Asking) -> Chain:
    api.post(CHAINS, {"name": "two", "definition": steps("a", "b")})
    return Chain.objects.get()


def test_chain_is_created_read_and_listed(api: Asking) -> None:
    api.post(CHAINS, {"name": "one", "definition": steps("a")})
    assert [each["name"] for each in api.get(CHAINS)["items"]] == ["one", "two"]
    page = api.get(f"{CHAINS}?limit=1")
    assert [each["name"] for each in api.get(f"{CHAINS}?limit=1&cursor={page['next']}")["items"]] == ["two"]
    read = api.get(f"{CHAINS}/two")
    assert (read["version"], read["state"], list(read["definition"]["steps"])) == (1, "active", ["a", "b", "end"])
    assert read["orders"] == {"total": 0, "at_least": False, "states": {}}
    problem(api("GET", f"{CHAINS}/three"), 404, "not_found")
    problem(api("GET", "/groups/none/chains"), 404, "not_found")


def test_new_version_is_written_under_the_version_that_was_read(api: Asking) -> None:
    read = api("GET", f"{CHAINS}/two")
    changed = api("PUT", f"{CHAINS}/two", {"definition": steps("a", "c")}, If_Match=read.headers["ETag"])
    assert json.loads(changed.content)["version"] == 2
    again = api("PUT", f"{CHAINS}/two", {"definition": steps("a")}, If_Match=read.headers["ETag"])
    problem(again, 409, "stale_version")
    problem(api("DELETE", f"{CHAINS}/two", If_Match=read.headers["ETag"]), 409, "stale_version")
    assert [each["version"] for each in api.get(f"{CHAINS}/two/versions")["items"]] == [2, 1]
    assert list(api.get(f"{CHAINS}/two/versions/1")["definition"]["steps"]) == ["a", "b", "end"]
    problem(api("GET", f"{CHAINS}/two/versions/x"), 404, "not_found")
    told = api.get(f"{CHAINS}/two/diff")
    assert (told["before"], told["after"]) == (1, 2)
    assert [each["words"] for each in told["changes"]] == [
        'step "a": next changed from b to c', 'step "c" added (action)', 'step "b" removed (action)',
    ]  # fmt: skip


def test_every_mistake_of_a_definition_is_told_with_its_place(api: Asking) -> None:
    wrong = {"steps": {"a": {"action": NOOP, "next": "d"}, "b": {"action": {"handler": "none.such"}, "next": "end"}}}
    for method, path, body in (
        ("POST", CHAINS, {"name": "bad", "definition": wrong}),
        ("PUT", f"{CHAINS}/two", {"definition": wrong}),
    ):
        assert "steps.a.next" in fields(problem(api(method, path, body), 422, "invalid"))
    for body, field in (
        ({"name": "bad"}, "definition"), ({"name": "", "definition": steps("a")}, "name"),
        ({"name": "bad", "definition": []}, "chain"),
        ({"name": "bad", "definition": steps("a"), "colour": 1}, "colour"),
    ):  # fmt: skip
        assert field in fields(problem(api("POST", CHAINS, body), 422, "invalid"))
    problem(api("POST", CHAINS, {"name": "two", "definition": steps("a")}), 409, "name_taken")
    problem(api("PUT", f"{CHAINS}/three", {"definition": steps("a")}), 404, "not_found")


def test_steps_and_chains_are_stopped_skipped_and_go_on(api: Asking, two: Chain) -> None:
    assert api.post(f"{CHAINS}/two/steps/b/stop", {"reason": "repairs"})["state_reason"] == "repairs"
    assert api.post(f"{CHAINS}/two/steps/a/skip")["state"] == "skipped"
    assert api.post(f"{CHAINS}/two/stop", {"reason": "inventory"})["state"] == "stopped"
    read = api.get(f"{CHAINS}/two")
    assert (read["stopped_steps"], read["skipped_steps"], read["state_reason"]) == (["b"], ["a"], "inventory")
    assert [each["state"] for each in api.get(f"{CHAINS}/two/steps")["items"]] == ["skipped", "stopped", "active"]
    for step in "ab":
        api.post(f"{CHAINS}/two/steps/{step}/activate")
    assert api.post(f"{CHAINS}/two/start")["stopped_steps"] == []
    assert fields(problem(api("POST", f"{CHAINS}/two/steps/c/stop"), 422, "invalid")) == ["step"]
    verbs = [each["verb"] for each in api.get("/audit?limit=3")["items"]]
    assert verbs == ["chain.start", "step.activate", "step.activate"]


def test_orders_are_counted_at_their_steps(api: Asking, two: Chain) -> None:
    for state in ("ready", "failed", "failed"):
        factories.order(two, "b", state)
    (_, at_b, _) = api.get(f"{CHAINS}/two/steps")["items"]
    assert at_b["orders"] == {"total": 3, "at_least": False, "states": {"failed": 2, "ready": 1}}
    nodes = {each["name"]: each["orders"] for each in api.get(f"{CHAINS}/two/picture")["nodes"]}
    assert nodes == {"a": 0, "b": 3, "end": 0}
    assert "<svg" in api.get(f"{CHAINS}/two/picture?version=1")["svg"]
    problem(api("GET", f"{CHAINS}/two/picture?version=9"), 404, "not_found")
    problem(api("DELETE", f"{CHAINS}/two"), 409, "not_allowed_now")


def test_chain_without_orders_is_deleted(api: Asking) -> None:
    assert api("DELETE", f"{CHAINS}/two").status_code == 204
    problem(api("GET", f"{CHAINS}/two"), 404, "not_found")


def test_repeat_of_a_create_with_its_key_is_done_once(api: Asking) -> None:
    body = {"name": "once", "definition": steps("a")}
    first = api("POST", CHAINS, body, Idempotency_Key="k-1")
    second = api("POST", CHAINS, body, Idempotency_Key="k-1")
    assert (first.status_code, second.status_code, first.content) == (201, 201, second.content)


def test_key_with_the_scope_operate_stops_steps_and_defines_nothing(new_key: Callable[..., str]) -> None:
    operator = Asking(new_key("read", "operate", "schedule"))
    operator.post(f"{CHAINS}/two/steps/a/stop")
    problem(operator("POST", CHAINS, {"name": "x", "definition": steps("a")}), 403, "forbidden")
    problem(operator("PUT", f"{CHAINS}/two", {"definition": steps("a")}), 403, "forbidden")


def test_chain_says_what_declares_it_and_which_version(api: Asking) -> None:
    api.post(CHAINS, {"name": "main", "definition": steps("a")})
    told = api.get(f"{CHAINS}/main")
    assert (told["source"], told["owner"], told["declared_version"]) == ("", "", None)
    Chain.objects.update(source="file:shop", owner="shop", declared_version=1)
    told = api.get(f"{CHAINS}/main")
    assert (told["source"], told["owner"], told["declared_version"]) == ("file:shop", "shop", 1)


def test_locks_are_declared_changed_listed_and_deleted(api: Asking) -> None:
    locks = "/groups/billing/locks"
    told = {"name": "printer", "group": "billing", "held": 0, "waiting": 0, "at_least": False}
    assert json.loads(api("PUT", f"{locks}/printer", {"capacity": 2}).content) == {**told, "capacity": 2}
    api("PUT", f"{locks}/printer", {"capacity": 3})
    assert api.get(locks)["items"] == [{**told, "capacity": 3}]
    assert api.get(f"{locks}/printer") == {**told, "capacity": 3, "holders": [], "waiters": []}
    problem(api("GET", f"{locks}/none"), 404, "not_found")
    for wrong in (0, "2", None, True):
        assert fields(problem(api("PUT", f"{locks}/printer", {"capacity": wrong}), 422, "invalid")) == ["capacity"]
    taken = steps("a") | {"locks": {"printer": "shared"}}
    taken["steps"]["a"]["locks"] = ["printer"]
    api.post(CHAINS, {"name": "prints", "definition": taken})
    problem(api("DELETE", f"{locks}/printer"), 409, "not_allowed_now")
    api("DELETE", f"{CHAINS}/prints")
    assert api("DELETE", f"{locks}/printer").status_code == 204
    problem(api("DELETE", f"{locks}/printer"), 404, "not_found")
    problem(api("GET", "/groups/none/locks"), 404, "not_found")
