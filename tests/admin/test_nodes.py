"""What is asked of nodes and of the whole cluster in the admin."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime

import pytest
from django.test import Client
from django.urls import reverse

from tests import factories
from tests.admin.pages import list_of, page_of, run, told
from timers.insights.node_view import NodeView, nodes_by_id
from timers.models import AuditEntry, ClusterPause, Node


@pytest.mark.parametrize(
    ("action", "wish", "before"), [("drain", "drain", ""), ("activate", "", "drain"), ("stop", "stop", "")]
)
def test_a_node_is_asked_by_an_action(alice: Client, action: str, wish: str, before: str) -> None:
    node = factories.node("node-a", wish=before)
    assert "Asked to" in told(run(alice, "node", action, node.pk))
    node.refresh_from_db()
    assert (node.wish, node.wished_by) == (wish, "alice")
    assert "by alice" in alice.get(page_of("node", node.pk)).text
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.actor, entry.address) == (f"node.{action}", "alice", "127.0.0.1")


def test_list_and_page_tell_what_living_nodes_run_by_kind_of_slot(alice: Client) -> None:
    node = factories.node("node-a", busy=3, busy_threads=3)
    factories.claim(node, factories.timer(), executions=5)
    for page in (list_of("node"), page_of("node", node.pk)):
        assert "3 of 16 threads, 0 of 400 async slots" in alice.get(page).text


def test_list_and_page_tell_nothing_running_on_a_node_that_has_ended(alice: Client) -> None:
    counters = {"workers": {"1": {"busy": 7321}}}
    node = factories.node("node-a", beat_ago=30, lease=10, busy=7321, busy_threads=7321, counters=counters)
    for page in (list_of("node"), page_of("node", node.pk)):
        text = alice.get(page).text
        assert "dead" in text
        assert not re.search(r"\b7321\b", text)


def test_list_and_page_tell_how_suspect_a_node_is(alice: Client) -> None:
    node = factories.node("node-a", beat_ago=8, lease=60)
    for page in (list_of("node"), page_of("node", node.pk)):
        assert re.search(r"suspect</span> \(phi \d+\.\d\)", alice.get(page).text)


def test_node_that_is_forgotten_while_a_page_is_made_is_not_on_it(
    alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, stays = factories.node("node-gone", state="dead"), factories.node("node-stays")

    def forgotten_first(ids: Collection[int], now: datetime) -> dict[int, NodeView]:
        return nodes_by_id([each for each in ids if each != gone.pk], now)

    monkeypatch.setattr("timers.admin.nodes.nodes_by_id", forgotten_first)
    page = alice.get(list_of("node"))
    assert page.status_code == 200
    assert page_of("node", stays.pk) in page.text and page_of("node", gone.pk) not in page.text
    assert "Perhaps it was deleted?" in alice.get(page_of("node", gone.pk), follow=True).text


def test_list_and_page_tell_in_what_a_node_differs_from_the_others(alice: Client) -> None:
    for name in ("node-a", "node-b"):
        factories.node(name, settings={"TIMERS_LEASE": 10.0}, config_hash="aaaaaaaaaaaa")
    odd = factories.node("node-c", settings={"TIMERS_LEASE": 30.0}, config_hash="cccccccccccc")
    page = alice.get(list_of("node")).text
    assert "cccccccccccc, differs" in page and "aaaaaaaaaaaa, differs" not in page
    assert "TIMERS_LEASE 30.0 (most: 10.0)" in alice.get(page_of("node", odd.pk)).text


def test_a_node_that_has_ended_refuses_in_words(alice: Client) -> None:
    node = factories.node("node-a", state="dead")
    assert "its process has ended" in told(run(alice, "node", "drain", node.pk))


def test_a_node_that_has_ended_is_forgotten_by_an_action(alice: Client) -> None:
    gone, alive = factories.node("node-a", state="dead"), factories.node("node-b")
    assert "Forgotten: 1 node" in told(run(alice, "node", "forget", gone.pk))
    assert "Stop it first" in told(run(alice, "node", "forget", alive.pk))
    assert [row.name for row in Node.objects.all()] == ["node-b"]
    assert [(entry.verb, entry.actor) for entry in AuditEntry.objects.all()] == [("node.forget", "alice")]


def test_who_may_only_look_asks_nothing(bob: Client) -> None:
    node = factories.node("node-a")
    run(bob, "node", "stop", node.pk)
    assert Node.objects.get().wish == ""
    assert bob.get(reverse("admin:timers_clusterpause_add")).status_code == 403
    assert bob.get(list_of("clusterpause")).status_code == 200


def test_the_cluster_is_paused_by_adding_a_pause_and_resumed_by_deleting_it(alice: Client) -> None:
    add = reverse("admin:timers_clusterpause_add")
    alice.post(add, {"reason": "the warehouse floods"}, follow=True)
    pause = ClusterPause.objects.get()
    assert (pause.by, pause.reason) == ("alice", "the warehouse floods")
    assert "the warehouse floods" in alice.get(list_of("clusterpause")).text
    assert "the cluster is paused already." in alice.post(add, {"reason": "again"}).text
    alice.post(reverse("admin:timers_clusterpause_delete", args=[pause.pk]), {"post": "yes"}, follow=True)
    assert not ClusterPause.objects.exists()
    assert list(AuditEntry.objects.order_by("id").values_list("verb", "actor")) == [
        ("cluster.pause", "alice"), ("cluster.resume", "alice"),
    ]  # fmt: skip


def test_a_partition_is_paused_and_resumed_in_the_same_list(alice: Client) -> None:
    add = reverse("admin:timers_clusterpause_add")
    assert "has neither a group nor a live node" in alice.post(add, {"partition": "reports", "reason": ""}).text
    factories.group(partition="reports")
    for partition in ("reports", ""):
        alice.post(add, {"partition": partition, "reason": "floods"}, follow=True)
    assert "partition reports" in alice.get(list_of("clusterpause")).text
    row = ClusterPause.objects.get(partition="reports")
    run(alice, "clusterpause", "delete_selected", row.pk, post="yes")
    assert [each.partition for each in ClusterPause.objects.all()] == [""]
    assert list(AuditEntry.objects.order_by("id").values_list("verb", "subject_name")) == [
        ("partition.pause", "reports"), ("cluster.pause", ""), ("partition.resume", "reports"),
    ]  # fmt: skip


def test_blanks_for_a_partition_are_refused_and_do_not_pause_the_cluster(alice: Client) -> None:
    page = alice.post(reverse("admin:timers_clusterpause_add"), {"partition": "  ", "reason": ""}, follow=True)
    assert "must not hold control characters or begin or end with a space" in page.text
    assert not ClusterPause.objects.exists()


def test_it_is_resumed_from_the_list_too(alice: Client) -> None:
    alice.post(reverse("admin:timers_clusterpause_add"), {"reason": ""}, follow=True)
    run(alice, "clusterpause", "delete_selected", ClusterPause.objects.get().pk, post="yes")
    assert not ClusterPause.objects.exists()


def test_a_reason_that_is_too_long_is_refused_on_its_field(alice: Client) -> None:
    page = alice.post(reverse("admin:timers_clusterpause_add"), {"reason": "x" * 10_001})
    assert page.status_code == 200
    assert "at most 10,000 characters" in page.text
    assert 'maxlength="10000"' in page.text
    assert not ClusterPause.objects.exists()
