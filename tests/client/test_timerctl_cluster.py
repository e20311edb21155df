"""timerctl and the client: nodes, partitions and the whole cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest
from timers_client import NotAllowedNow, NotFound, TimersClient

from tests import factories
from timers import clock
from timers.models import ClusterPause, Node


@pytest.fixture
def told(ctl: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    """What a command prints, which succeeds."""

    def run(*words: str) -> str:
        assert ctl(*words) == 0
        return capsys.readouterr().out

    return run


def test_a_node_is_drained_activated_stopped_and_forgotten(told: Any) -> None:
    node = factories.node("node a")
    assert told("nodes", "drain", "node a", "--reason", "new disk") == "node node a: active, asked to drain\n"
    node.refresh_from_db()
    assert (node.wish, node.wish_reason, node.wished_by) == ("drain", "new disk", "key client")
    assert told("nodes", "activate", "node a") == "node node a: active, asked to take work again\n"
    assert told("nodes", "stop", str(node.pk)) == "node node a: active, asked to stop\n"
    Node.objects.update(state="stopped", ended_at=clock.now())
    assert told("nodes", "forget", "node a") == "node node a: stopped, forgotten\n"
    assert not Node.objects.exists()


def test_nodes_are_listed_and_shown(told: Any) -> None:
    factories.node("node-a", beat_ago=8, lease=60)
    factories.node("node-b")
    lines = told("nodes").splitlines()
    assert len(lines) == 3 and "suspect" in lines[1] and "node-b" in lines[2]
    assert json.loads(told("nodes", "show", "node-b", "--json"))["state"] == "active"
    assert "config_hash" in told("nodes", "show", "node-b")


def test_a_partition_is_paused_and_resumed(told: Any, ctl: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert told("partitions", "pause", "default", "--reason", "new disks") == "partition default: paused\n"
    assert ClusterPause.objects.get().reason == "new disks"
    answer = json.loads(told("partitions", "pause", "default", "--json"))
    assert [each["partition"] for each in answer["partition_pauses"]] == ["default"]
    assert told("partitions", "resume", "default") == "partition default: resumed\n"
    assert not ClusterPause.objects.exists()
    assert ctl("partitions", "pause", "nowhere") == 1
    assert "neither a group nor a live node" in capsys.readouterr().err


def test_the_cluster_is_shown_paused_and_resumed(told: Any) -> None:
    factories.node("node-a")
    assert told("cluster", "pause") == "cluster: paused\n"
    assert "The cluster is paused" in told("cluster")
    assert json.loads(told("cluster", "show", "--json"))["alive"] == 1
    assert told("cluster", "resume") == "cluster: resumed\n"


def test_the_client_raises_what_the_service_refuses(client: TimersClient) -> None:
    factories.node("node-a")
    with pytest.raises(NotAllowedNow, match="Stop it first"):
        client.forget_node("node-a")
    for unknown in ("node-b", 7):
        with pytest.raises(NotFound):
            client.drain_node(unknown)
    with pytest.raises(NotFound):
        client.pause_partition("nowhere")
    assert [node["name"] for node in client.get_nodes()] == ["node-a"]
    assert client.get_cluster()["alive"] == 1
