"""Nodes, the whole cluster and the audit trail over the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests import factories
from tests.api.asking import Asking, fields, problem
from timers import clock
from timers.models import Node

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


@pytest.mark.django_db
def test_live_nodes_of_one_name_are_listed_apart_and_drained_by_id(api: Asking) -> None:
    first, second = (factories.node("web", pid=number) for number in (1, 2))
    page = api.get("/nodes?limit=1")
    rest = api.get(f"/nodes?limit=1&cursor={page['next']}")
    assert [each["id"] for each in [*page["items"], *rest["items"]]] == [first.pk, second.pk]
    problem(api("POST", "/nodes/web/drain"), 409, "not_allowed_now")
    assert api.post(f"/nodes/{first.pk}/drain")["wish"] == "drain"


def test_nodes_are_listed_by_name_a_page_at_a_time(api: Asking) -> None:
    for name in ("c", "B", "a"):
        factories.node(name)
    factories.node("gone", state="stopped", ended_at=clock.now() - timedelta(days=2))
    first = api.get("/nodes?limit=2")
    rest = api.get(f"/nodes?limit=2&cursor={first['next']}")
    assert [each["name"] for each in [*first["items"], *rest["items"]]] == ["B", "a", "c"]
    assert rest["next"] is None


def test_nodes_that_have_ended_run_and_hold_nothing(api: Asking) -> None:
    counters = {"workers": {"1": {"busy": 8, "held": 9}}, "succeeded": 2}
    for state in ("dead", "stopped"):
        ended = factories.node(state, state=state, ended_at=clock.now(), busy=8, busy_threads=8, counters=counters)
        factories.claim(ended, factories.timer(), executions=9)
    for node in [*api.get("/nodes")["items"], api.get("/nodes/dead"), api.get("/nodes/stopped")]:
        assert [node[name] for name in ("busy", "busy_threads", "busy_async", "held", "slots", "threads")] == [0] * 6
        assert (node["left_behind"], node["counters"]) == (9, {"succeeded": 2})
    assert [api.get("/cluster")[name] for name in ("busy", "held", "slots")] == [0, 0, 0]


def test_the_api_tells_threads_and_async_slots_apart(api: Asking) -> None:
    node = factories.node("node-a", busy=3, busy_threads=2)
    factories.claim(node, factories.timer(), executions=5)
    for told in (api.get("/nodes/node-a"), api.get("/cluster")):
        assert (told["busy"], told["busy_threads"], told["busy_async"], told["held"]) == (3, 2, 1, 5)
        assert (told["threads"], told["async_slots"], told["slots"]) == (16, 400, 416)


def test_the_api_tells_how_suspect_a_node_is(api: Asking) -> None:
    factories.node("node-a", beat_ago=8, lease=60)
    factories.node("node-b", state="stopped", ended_at=clock.now())
    found = {each["name"]: each for each in api.get("/nodes")["items"]}
    assert found["node-a"]["state"] == "suspect" and found["node-a"]["phi"] > 8
    assert found["node-b"]["phi"] is None


def test_the_api_tells_in_what_nodes_differ(api: Asking) -> None:
    for name, seconds in (("node-a", 10.0), ("node-b", 10.0), ("node-c", 30.0)):
        factories.node(name, settings={"TIMERS_LEASE": seconds}, config_hash=name)
    told = api.get("/cluster")
    assert told["drift"] == [
        {
            "partition": "default",
            "kind": "setting",
            "name": "TIMERS_LEASE",
            "values": [{"value": "10.0", "nodes": ["node-a", "node-b"]}, {"value": "30.0", "nodes": ["node-c"]}],
            "odd": ["node-c"],
        }
    ]
    assert any("TIMERS_LEASE is not the same" in each["text"] for each in told["concerns"])
    assert api.get("/nodes/node-c")["config_hash"] == "node-c"


def test_a_name_in_the_path_means_the_start_that_lives(api: Asking) -> None:
    old = factories.node("node-a", state="dead", ended_at=clock.now() - timedelta(days=3))
    assert api.get("/nodes/node-a")["id"] == old.pk
    new = factories.node("node-a")
    assert api.get("/nodes/node-a")["id"] == new.pk == api.post("/nodes/node-a/drain")["id"]
    assert api.get(f"/nodes/{old.pk}")["state"] == "dead"


def test_a_node_that_has_ended_is_forgotten(api: Asking) -> None:
    old = factories.node("node-a", state="stopped", ended_at=clock.now())
    new = factories.node("node-a")
    problem(api("POST", "/nodes/node-a/forget"), 409, "not_allowed_now")
    said = api.post(f"/nodes/{old.pk}/forget", {"reason": "renamed"})
    assert (said["id"], said["state"]) == (old.pk, "stopped")
    assert [row.pk for row in Node.objects.all()] == [new.pk]
    problem(api("POST", f"/nodes/{old.pk}/forget"), 404, "not_found")


@pytest.mark.parametrize("verb", ["drain", "activate", "stop"])
def test_a_node_that_has_ended_or_is_not_there_is_asked_nothing(api: Asking, verb: str) -> None:
    factories.node("node-a", state="stopped", ended_at=clock.now())
    problem(api("POST", f"/nodes/node-a/{verb}"), 409, "not_allowed_now")
    problem(api("POST", f"/nodes/node-b/{verb}"), 404, "not_found")
    assert fields(problem(api("POST", f"/nodes/node-a/{verb}", {"reason": 1, "until": 2}), 422, "invalid"))
    assert Node.objects.get().wish == ""


def test_a_wish_that_is_repeated_by_its_key_is_not_asked_again(api: Asking) -> None:
    factories.node("node-a")
    for path, key in (("drain", {"Idempotency_Key": "d1"}), ("activate", {}), ("drain", {"Idempotency_Key": "d1"})):
        api.post(f"/nodes/node-a/{path}", {}, **key)
    assert Node.objects.get().wish == ""


def test_the_cluster_is_paused_and_resumed(api: Asking) -> None:
    factories.node("node-a")
    factories.group("orders", action={"kind": "pull"})
    api.post("/groups/orders/timers", {"kind": "once", "name": "a", "after": 0})
    assert (api.get("/cluster")["nodes"], api.get("/cluster")["pause"]) == (1, None)
    assert api.get("/cluster")["concerns"] == []
    said = api.post("/cluster/pause", {"reason": "move"})
    assert (said["pause"]["by"], said["pause"]["reason"]) == ("key key-1", "move")
    assert [each["level"] for each in said["concerns"]] == ["attention"]
    # Paused once more, it stays as it was paused first.
    assert api.post("/cluster/pause", {"reason": "again"})["pause"] == said["pause"]
    assert api.post("/groups/orders/claims", {"consumer": "c"})["messages"] == []
    assert api.post("/cluster/resume")["pause"] is None
    assert len(api.post("/groups/orders/claims", {"consumer": "c"})["messages"]) == 1


def test_a_partition_is_paused_and_resumed(api: Asking) -> None:
    factories.group(partition="reports")
    told = api.post("/partitions/reports/pause", {"reason": "floods"})
    assert [(each["partition"], each["reason"]) for each in told["partition_pauses"]] == [("reports", "floods")]
    assert (told["pause"], told["in_flight"]) == (None, [])
    assert any("Partition reports is paused" in each["text"] for each in told["concerns"])
    assert api.post("/partitions/reports/resume")["partition_pauses"] == []
    problem(api("POST", "/partitions/none/pause"), 404, "not_found")


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


def test_the_leader_of_a_partition_is_told_and_handed_over(api: Asking) -> None:
    factories.led_pair("exclusive")
    node = api.get("/nodes/node-a")
    assert [node[name] for name in ("mode", "precedence", "leads", "epoch")] == ["exclusive", 0, True, 1]
    (lead,) = api.get("/cluster")["leaderships"]
    assert (lead["partition"], lead["node"], lead["epoch"], lead["is_led"]) == ("default", "node-a", 1, True)

    (lead,) = api.post("/partitions/default/handover", {"to": "node-b", "reason": "new disk"})["leaderships"]
    assert (lead["node"], lead["epoch"], lead["is_pinned"]) == ("node-b", 2, True)
    (lead,) = api.post("/partitions/default/release-lead")["leaderships"]
    assert (lead["node"], lead["epoch"]) == ("node-a", 3)

    problem(api("POST", "/partitions/default/handover", {"to": "node-a"}), 409, "not_allowed_now")
    problem(api("POST", "/partitions/none/handover"), 404, "not_found")
