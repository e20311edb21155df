"""timercluster and timerdoctor: what they print and how they exit."""

from __future__ import annotations

import json
import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests import factories
from timers import clock
from timers.engine import partitions
from timers.models import ClusterPause, Node

pytestmark = pytest.mark.django_db


def printed(command: str, *words: str) -> str:
    out = StringIO()
    call_command(command, *words, stdout=out)
    return out.getvalue()


def test_the_cluster_is_told_with_its_nodes_groups_and_next_fires() -> None:
    factories.node("north")
    factories.timer("nightly", in_group=factories.group("reports"))
    text = printed("timercluster")
    assert "1 node alive" in text
    assert "north" in text
    assert "reports" in text
    assert "nightly" in text


def test_the_cluster_is_one_json_object_when_asked() -> None:
    factories.node("north")
    told = json.loads(printed("timercluster", "--json"))
    assert [node["name"] for node in told["nodes"]] == ["north"]
    assert told["sentence"]


def test_the_command_tells_nothing_running_on_a_dead_node_and_its_threads_on_a_living_one() -> None:
    living = factories.node("north", busy=3, busy_threads=3)
    dead = factories.node("south", beat_ago=30, lease=10, busy=7321, busy_threads=7321)
    for node in (living, dead):
        factories.claim(node, factories.timer(), executions=5)
    text = printed("timercluster")
    assert "3 of 16 threads, 0 of 400 async slots" in text
    assert not re.search(r"\b7321\b", text)
    north, south = json.loads(printed("timercluster", "--json"))["nodes"]
    assert (north["busy"], north["held"]) == (3, 5)
    assert (south["busy"], south["held"]) == (0, 0)


def test_a_node_is_drained_activated_stopped_and_forgotten() -> None:
    node = factories.node("north")
    old = factories.node("north", state="dead", ended_at=clock.now())
    assert printed("timercluster", "drain", "north", "--reason", "new disk") == "node north is asked to drain\n"
    node.refresh_from_db()
    assert (node.wish, node.wish_reason, node.wished_by) == ("drain", "new disk", "manage.py")
    assert printed("timercluster", "activate", "north") == "node north is asked to take work again\n"
    assert printed("timercluster", "stop", str(node.pk)) == "node north is asked to stop\n"
    with pytest.raises(CommandError, match="node north is active"):
        call_command("timercluster", "forget", "north")
    assert printed("timercluster", "forget", str(old.pk)) == f"node {old.pk} is forgotten (1 start)\n"
    assert [row.pk for row in Node.objects.all()] == [node.pk]


def test_cluster_and_partitions_are_paused_and_resumed() -> None:
    factories.timer(in_group=factories.group(partition="reports"), due_in=-60)
    assert printed("timercluster", "pause", "--partition", "reports", "--reason", "floods") == (
        "partition reports is paused\n"
    )
    text = printed("timercluster")
    assert "Partition reports is paused since" in text
    assert "python manage.py timercluster resume --partition reports" in text
    assert printed("timercluster", "pause") == "the cluster is paused\n"
    told = json.loads(printed("timercluster", "--json"))
    assert told["pause"]["partition"] == "" and [each["reason"] for each in told["partition_pauses"]] == ["floods"]
    for words, subject in ((["--partition", "reports"], "partition reports"), ([], "the cluster")):
        assert printed("timercluster", "resume", *words) == f"{subject} is resumed\n"
        assert printed("timercluster", "resume", *words) == f"{subject} was not paused\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["drain"], "node: is required for drain"),
        (["handover", "north"], "node: has no meaning for handover"),
        (["drain", "north", "--to", "south"], "--to: has no meaning for drain"),
        (["stop", "north", "--partition", "p"], "--partition: has no meaning for stop"),
        (["pause", "--partition", "reports"], "reports has neither a group nor a live node"),
        (["pause", "--partition", ""], "partition: must have 1 to 200 characters"),
        (["resume", "--partition", ""], "partition: must have 1 to 200 characters"),
        (["handover", "--partition", ""], "partition: must have 1 to 200 characters"),
        (["release-lead", "--partition", " "], "partition: must not hold control characters"),
        (["handover", "--to", ""], "--to: is empty"),
        (["drain", "north", "--partition", ""], "--partition: has no meaning for drain"),
        (["drain", "nobody"], "there is no node 'nobody'"),
        (["forget", "7"], "there is no node 7"),
    ],
)
def test_verbs_of_the_cluster_refuse_what_does_not_fit(words: list[str], message: str) -> None:
    factories.node("north")
    with pytest.raises(CommandError, match=message):
        call_command("timercluster", *words)
    assert not ClusterPause.objects.exists()


def test_a_suspect_node_is_told_with_its_phi() -> None:
    factories.node("north", beat_ago=8, lease=60)
    assert re.search(r"north +suspect \(phi \d+\.\d\)", printed("timercluster"))
    assert json.loads(printed("timercluster", "--json"))["nodes"][0]["phi"] > 8


def test_what_differs_between_nodes_is_told() -> None:
    for name, seconds in (("north", 10.0), ("south", 30.0)):
        factories.node(name, settings={"TIMERS_LEASE": seconds, "TIMERS_ENCRYPTION_KEYS": "digest"})
    assert "TIMERS_LEASE is not the same on all nodes of partition default" in printed("timercluster")
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("timerdoctor", stdout=out)
    assert "TIMERS_LEASE is not the same on all nodes of partition default" in out.getvalue()
    told = printed("timercluster", "--json")
    assert [each["odd"] for each in json.loads(told)["drift"]] == [["south"]]
    assert "digest" not in told


def test_the_edition_of_each_nodes_time_zone_rules_is_told() -> None:
    factories.node("north", zone_rules="2026b")
    assert "2026b" in printed("timercluster")
    assert json.loads(printed("timercluster", "--json"))["nodes"][0]["zone_rules"] == "2026b"


def test_an_empty_cluster_says_how_to_start_a_node() -> None:
    assert "runtimerworker" in printed("timercluster")


def test_the_doctor_exits_with_1_when_something_is_wrong() -> None:
    partitions.create_ahead(clock.now().date(), 7)
    factories.node("north")
    factories.timer("late", due_in=-7200)
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("timerdoctor", "--json", stdout=out)
    assert ended.value.code == 1
    assert "overdue_timers" in {finding["check"] for finding in json.loads(out.getvalue())["findings"]}


def test_the_leader_is_told_and_handed_over_by_command() -> None:
    factories.led_pair("exclusive")
    assert "exclusive, leads (epoch 1)" in printed("timercluster")
    assert printed("timercluster", "handover", "--to", "node-b") == "node node-b leads partition default (epoch 2)\n"
    assert printed("timercluster", "release-lead") == "node node-a leads partition default (epoch 3)\n"
    told = json.loads(printed("timercluster", "--json"))
    assert [each["node"] for each in told["leaderships"]] == ["node-a"]
    with pytest.raises(CommandError, match="to: node nobody is not a live node"):
        call_command("timercluster", "handover", "--to", "nobody")
    with pytest.raises(CommandError, match="--to: has no meaning for release-lead"):
        call_command("timercluster", "release-lead", "--to", "node-b")
