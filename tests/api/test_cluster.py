"""Nodes, the whole cluster and the audit trail over the API."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests import factories
from tests.api.asking import Asking, problem

pytestmark = pytest.mark.django_db


def test_a_node_is_read_and_asked_to_drain_go_on_and_stop(api: Asking) -> None:
    node = factories.node("node-a")
    assert [each["name"] for each in api.get("/nodes")["items"]] == ["node-a"]
    for verb, wish in (("drain", "drain"), ("activate", ""), ("stop", "stop")):
        said = api.post(f"/nodes/{node.pk}/{verb}", {"reason": "update"})
        assert (said["name"], said["wish"]) == ("node-a", wish)
    problem(api("POST", f"/nodes/{node.pk}/drain"), 409, "not_allowed_now")
    for path in ("/nodes/999999", "/nodes/none", "/nodes/-1", "/nodes/99999999999999999999"):
        problem(api("GET", path), 404, "not_found")


def test_the_cluster_is_paused_and_resumed(api: Asking) -> None:
    factories.node("node-a")
    factories.group("orders", action={"kind": "pull"})
    api.post("/groups/orders/timers", {"kind": "once", "name": "a", "after": 0})
    assert (api.get("/cluster")["nodes"], api.get("/cluster")["pause"]) == (1, None)
    paused = api.post("/cluster/pause", {"reason": "move"})["pause"]
    assert (paused["by"], paused["reason"]) == ("key key-1", "move")
    assert api.post("/groups/orders/claims", {"consumer": "c"})["messages"] == []
    assert api.post("/cluster/resume")["pause"] is None
    assert len(api.post("/groups/orders/claims", {"consumer": "c"})["messages"]) == 1


def test_what_was_asked_for_is_told_with_who_asked_and_from_where(api: Asking, new_key: Callable[..., str]) -> None:
    for name in ("mine", "theirs"):
        api.post("/groups", {"name": name, "action": {"kind": "pull"}})
        api.post(f"/groups/{name}/timers", {"kind": "once", "name": "a", "after": 60}, X_Request_Id=f"order-{name}")
    api("DELETE", "/groups/mine/timers/a")
    entries = api.get("/audit?subject=timer:mine/a")["items"]
    assert [entry["verb"] for entry in entries] == ["timer.cancel", "timer.create"]
    assert (entries[1]["actor"], entries[1]["address"], entries[1]["request_id"]) == (
        "key key-1", "127.0.0.1", "order-mine",
    )  # fmt: skip
    assert entries[1]["key_id"] is not None
    first = api.get("/audit?limit=2")
    rest = api.get(f"/audit?limit=200&cursor={first['next']}")["items"]
    ids = [entry["id"] for entry in [*first["items"], *rest]]
    assert ids == sorted(ids, reverse=True) and len(set(ids)) == len(ids)
    limited = Asking(new_key("admin", groups=["mine"]))
    assert {entry["subject_group"] for entry in limited.get("/audit")["items"]} == {"mine"}
    assert "theirs" not in json.dumps(limited.get("/audit"))
