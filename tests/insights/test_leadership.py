from __future__ import annotations

from typing import Any

import pytest

from tests import factories
from timers import clock
from timers.insights import cluster, health, node_view
from timers.insights.leadership import leadership_concerns, leaderships
from timers.models import Node

pytestmark = pytest.mark.django_db


def concerns() -> list[tuple[str, str, str]]:
    return [(each.level, each.text, each.command) for each in leadership_concerns(leaderships(clock.now()))]


def backup(**fields: Any) -> Node:
    return factories.node("node-b", mode="backup", precedence=1, state="standby", **fields)


def test_a_led_partition_is_shown_and_is_no_concern() -> None:
    node, _ = factories.led_pair("exclusive")
    (found,) = leaderships(clock.now())
    assert (found.partition, found.node, found.epoch, found.is_led, found.is_passive) == (
        "default", "node-a", 1, True, True,
    )  # fmt: skip
    assert concerns() == []
    view = node_view.node(node.id, clock.now())
    assert view is not None
    assert (view.leads, view.epoch, view.mode_words) == (True, 1, "exclusive, leads (epoch 1)")


def test_a_distributed_partition_without_lead_groups_needs_no_leader() -> None:
    factories.led_pair()
    assert leaderships(clock.now()) == ()


def test_a_partition_whose_leader_has_gone_is_told() -> None:
    gone = factories.node("node-a", mode="exclusive", state="dead", ended_at=clock.now())
    factories.leadership(gone)
    backup()
    assert concerns() == [("trouble", "Partition default has no leader. Nothing of it fires.", "")]


def test_lead_groups_without_a_leader_are_told() -> None:
    factories.node("node-a")
    factories.group("single", placement="lead")
    assert concerns() == [
        ("trouble", "Partition default has no leader. Its groups with placement lead do not fire.", "")
    ]


def test_a_partition_that_waits_for_its_primary_is_told() -> None:
    backup(partition="reports")
    assert concerns() == [
        (
            "trouble",
            "Partition reports waits for its primary; backups take over only after it. Start it:",
            "python manage.py runtimerworker --mode exclusive --partition reports",
        )
    ]


def test_a_lead_that_is_held_is_told_with_the_command_that_hands_it_over() -> None:
    gone = factories.node("node-a", mode="exclusive", state="stopped", ended_at=clock.now())
    factories.leadership(gone, held_precedence=0)
    backup()
    ((level, text, command),) = concerns()
    assert level == "attention"
    assert text.startswith("Node node-a has stopped and holds the lead of partition default.")
    assert command == "python manage.py timercluster handover"


def test_what_a_stopped_leader_held_is_forgotten_once_nodes_share_the_partition() -> None:
    gone = factories.node("node-a", mode="exclusive", state="stopped", ended_at=clock.now())
    factories.leadership(gone, held_precedence=0)
    factories.node("node-b")
    assert leaderships(clock.now()) == ()


def test_a_leader_that_drains_is_told() -> None:
    node, _ = factories.led_pair("exclusive")
    Node.objects.filter(id=node.id).update(state="draining")
    assert concerns() == [("attention", "Node node-a leads partition default and drains. Nothing of it fires.", "")]


def test_the_concerns_are_those_of_the_cluster() -> None:
    factories.node("node-a")
    factories.group("single", placement="lead")
    text = " ".join(each.text for each in health.concerns(cluster.cluster(clock.now())))
    assert "has no leader" in text
