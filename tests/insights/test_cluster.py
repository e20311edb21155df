from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings

from tests import factories
from timers import clock
from timers.engine.death import take_crash_lock
from timers.insights import cluster, counts, health, rates
from timers.insights.node_view import NodeView
from timers.models import Node

pytestmark = pytest.mark.django_db


def sentence() -> health.Sentence:
    now = clock.now()
    nodes = cluster.cluster(now)
    return health.sentence(nodes, rates.rates(now), counts.waiting(), counts.overdue(now), now)


def concerns() -> str:
    return " ".join(concern.text for concern in health.concerns(cluster.cluster(clock.now())))


def only_node() -> NodeView:
    (node,) = cluster.cluster(clock.now()).nodes
    return node


def test_a_node_that_beats_is_alive_with_what_it_holds() -> None:
    row = factories.node(busy=3, busy_threads=2)
    factories.claim(row, factories.timer(), executions=5)
    factories.claim(row, factories.timer(), executions=2)

    node = only_node()

    assert (node.state, node.alive, node.busy, node.slots) == ("active", True, 3, 416)
    assert (node.busy_threads, node.busy_async, node.usage) == (2, 1, "2 of 16 threads, 1 of 400 async slots")
    assert (node.held, node.claims) == (7, 2)
    assert 0.3 < node.heartbeat_age < 5


def test_a_node_is_suspect_once_its_silence_is_unusual() -> None:
    factories.node(beat_ago=4.1, lease=60)

    node = only_node()

    assert (node.state, node.alive) == ("suspect", True)
    assert node.phi is not None and node.phi > 8
    assert node.phi_words == f"(phi {node.phi:.1f})"
    assert re.search(r"is suspect \(phi \d+\.\d\): no heartbeat for 4", concerns())


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ({}, "suspect"),
        ({"PHI_THRESHOLD": 1000}, "active"),
        ({"HEARTBEAT_PAUSE": 5}, "active"),
        ({"HEARTBEAT_PAUSE": 2.5, "PHI_THRESHOLD": 1}, "active"),
        ({"HEARTBEAT_PAUSE": 1.5, "PHI_THRESHOLD": 1}, "suspect"),
    ],
)
def test_pause_and_threshold_say_when_a_node_is_suspect(settings: dict[str, Any], state: str) -> None:
    factories.node(beat_ago=4.1, lease=60)

    with override_settings(TIMERS=settings):
        assert only_node().state == state


def test_a_node_whose_heartbeats_come_irregularly_is_suspect_later() -> None:
    factories.node(beat_ago=4.1, lease=60, heartbeat_intervals=[1.0, 3.0] * 10)

    node = only_node()

    assert (node.state, node.phi_words) == ("active", "")
    assert node.phi is not None and 0.5 < node.phi < 8


@pytest.mark.parametrize("ended", [{"state": "dead"}, {"state": "stopped"}, {"beat_ago": 30, "lease": 10}])
def test_a_node_that_has_ended_has_no_phi(ended: dict[str, Any]) -> None:
    row = factories.node(**ended)
    Node.objects.filter(id=row.id).update(ended_at=clock.now())

    assert only_node().phi is None


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
    (concern,) = health.concerns(cluster.cluster(clock.now()))

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
    factories.node("a", version="1.0")
    factories.node("b", version="1.1")

    assert "different versions: 1.0 (a), 1.1 (b)." in concerns()


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


@pytest.mark.parametrize(
    "ended",
    [
        {"state": "dead", "ended_at": factories.LONG_AGO},
        {"state": "stopped", "ended_at": factories.LONG_AGO},
        {"beat_ago": 30, "lease": 10},
        {"beat_ago": 0.3, "heartbeat_interval": 0.1, "lease": 1, "crash_lock": True},
    ],
    ids=["declared dead", "stopped", "lease over", "crash lock free"],
)
def test_a_node_that_has_ended_runs_holds_and_offers_nothing(ended: dict[str, Any]) -> None:
    counters = {"succeeded": 7, "workers": {"1": {"pid": 1, "busy": 8, "held": 9}}}
    row = factories.node(busy=8, busy_threads=8, counters=counters, **ended)
    factories.claim(row, factories.timer(), executions=9)

    node, total = only_node(), cluster.cluster(clock.now())

    assert not node.alive
    assert (node.busy, node.held, node.slots, node.threads, node.usage) == (0, 0, 0, 0, "0")
    assert (total.busy, total.held, total.slots, total.usage) == (0, 0, 0, "0")
    assert node.counters == {"succeeded": 7}
    assert node.left_behind == 9
    assert "9 executions of it wait to be rescued" in concerns()


def test_a_node_whose_crash_lock_is_held_is_suspect_and_not_dead() -> None:
    row = factories.node(beat_ago=2, heartbeat_interval=0.1, lease=60, crash_lock=True)
    assert take_crash_lock(row.pk)

    assert only_node().state == "suspect"


def test_what_a_node_no_longer_holds_does_not_count_as_running() -> None:
    row = factories.node(busy=30, busy_threads=8)
    assert only_node().busy == 0

    factories.claim(row, factories.timer(), executions=10)

    assert (only_node().busy_threads, only_node().busy_async) == (8, 2)


def test_a_node_with_all_threads_busy_says_so_whatever_async_slots_are_free() -> None:
    row = factories.node(threads=8, async_slots=200, slots=208, busy=8, busy_threads=8)
    factories.claim(row, factories.timer(), executions=9)

    assert only_node().usage == "8 of 8 threads, 0 of 200 async slots"
    assert cluster.cluster(clock.now()).usage == "8 of 8 threads, 0 of 200 async slots"


def test_a_node_that_does_not_split_its_slots_still_tells_their_sum() -> None:
    row = factories.node(threads=0, async_slots=0, slots=208, busy=3)
    factories.claim(row, factories.timer(), executions=3)

    assert only_node().usage == "3 of 208 slots"


def test_counters_that_cannot_be_read_do_not_hide_the_node() -> None:
    row = factories.node()
    factories.spoil(row, "counters")

    assert only_node().counters == {}
