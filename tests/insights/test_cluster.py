from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from timers import clock
from timers.insights import cluster, counts, rates

pytestmark = pytest.mark.django_db


def sentence() -> cluster.Sentence:
    now = clock.now()
    nodes = cluster.cluster(now)
    return cluster.sentence(nodes, rates.rates(now), counts.waiting(), counts.overdue(now), now)


def concerns() -> str:
    return " ".join(concern.text for concern in cluster.concerns(cluster.cluster(clock.now())))


def only_node() -> cluster.NodeView:
    (node,) = cluster.cluster(clock.now()).nodes
    return node


def test_a_node_that_beats_is_alive_with_what_it_holds() -> None:
    row = factories.node(busy=3)
    factories.claim(row, factories.timer(), executions=5)
    factories.claim(row, factories.timer(), executions=2)

    node = only_node()

    assert (node.state, node.alive, node.busy, node.slots) == ("active", True, 3, 16)
    assert (node.held, node.claims) == (7, 2)
    assert 0.3 < node.heartbeat_age < 5


def test_a_node_is_suspect_after_two_missed_beats() -> None:
    factories.node(beat_ago=4.1, lease=60)

    assert only_node().state == "suspect"
    assert only_node().alive
    assert "has missed heartbeats" in concerns()


def test_a_node_past_its_lease_is_dead_even_when_nobody_is_left_to_say_so() -> None:
    factories.node(beat_ago=30, lease=10)

    assert only_node().state == "dead"
    assert not cluster.cluster(clock.now()).alive


def test_a_node_that_came_back_replaces_its_ghost() -> None:
    ended = clock.now() - timedelta(minutes=1)
    factories.node("node-a", state="dead", ended_at=ended)
    factories.node("node-a")

    assert only_node().state == "active"


def test_a_node_that_ended_long_ago_is_gone_from_the_list_unless_it_still_holds_something() -> None:
    factories.node(state="dead", ended_at=factories.LONG_AGO)
    holder = factories.node(state="dead", ended_at=factories.LONG_AGO)
    factories.claim(holder, factories.timer(), executions=3)

    assert only_node().name == holder.name
    assert "3 executions of it wait to be rescued" in concerns()


def test_without_a_living_node_the_remedy_is_named() -> None:
    (concern,) = cluster.concerns(cluster.cluster(clock.now()))

    assert concern.level == "trouble"
    assert "runtimerworker" in concern.command
    assert sentence().text == "Nothing fires: no node is alive."


def test_nodes_that_take_no_timers_are_told() -> None:
    factories.node(state="draining")

    assert "No living node takes timers" in concerns()


@pytest.mark.parametrize(("offset", "told"), [(0.2, False), (-0.26, True), (3.5, True)])
def test_a_clock_more_than_250_ms_off_is_told(offset: float, told: bool) -> None:
    factories.node("node-a", clock_offset=offset)

    assert ("The clock of node node-a" in concerns()) is told


def test_different_versions_are_told() -> None:
    factories.node(version="1.0")
    factories.node(version="1.1")

    assert "different versions: 1.0, 1.1" in concerns()


def test_a_healthy_cluster_is_well() -> None:
    factories.node()
    factories.minute(factories.group(), ago=1, succeeded=600)

    said = sentence()

    assert said.level == "well"
    assert said.text.startswith("All well: 1 node alive; ")
    assert "began within" in said.text


def test_the_worst_comes_first() -> None:
    factories.node()
    factories.timer(due_in=-60)
    factories.waiting(factories.timer())

    said = sentence()

    assert said.level == "trouble"
    assert said.text.startswith("1 timer is overdue.")
    assert "1 failed and waiting for you" in said.text


def test_a_node_that_died_a_minute_ago_is_missed_and_one_of_yesterday_is_not() -> None:
    factories.node("node-a")
    gone = factories.node("node-b", state="dead", ended_at=clock.now() - timedelta(minutes=1))
    assert "1 of 2 nodes alive" in sentence().text

    gone.ended_at = clock.now() - timedelta(hours=2)
    gone.save()
    assert "All well: 1 node alive" in sentence().text


def test_counters_that_cannot_be_read_do_not_hide_the_node() -> None:
    row = factories.node()
    factories.spoil(row, "counters")

    assert only_node().counters == {}
