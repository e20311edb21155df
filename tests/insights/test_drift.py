from __future__ import annotations

from typing import Any

import pytest

from tests import factories
from timers import clock
from timers.insights.cluster import cluster
from timers.insights.drift import Drift, drift_by_node
from timers.insights.health import concerns

pytestmark = pytest.mark.django_db


def drift() -> tuple[Drift, ...]:
    return cluster(clock.now()).drift


def told() -> list[str]:
    return [concern.text for concern in concerns(cluster(clock.now()))]


def three(**odd: Any) -> None:
    for name in ("node-a", "node-b"):
        factories.node(name, settings={"TIMERS_LEASE": 10.0}, zone_rules="2026b")
    factories.node("node-c", **{"settings": {"TIMERS_LEASE": 10.0}, "zone_rules": "2026b", **odd})


def test_nodes_that_are_alike_show_no_drift() -> None:
    three()
    assert drift() == ()
    assert told() == []


@pytest.mark.parametrize(
    ("odd", "sentence", "on_node"),
    [
        (
            {"settings": {"TIMERS_LEASE": 30.0}},
            "TIMERS_LEASE is not the same on all nodes of partition default (node-a, node-b: 10.0; node-c: 30.0).",
            "TIMERS_LEASE 30.0 (most: 10.0)",
        ),
        (
            {"zone_rules": "2025a"},
            "Edition of time zone rules is not the same on all nodes of partition default (node-a, node-b: 2026b; "
            "node-c: 2025a).",
            "edition of time zone rules 2025a (most: 2026b)",
        ),
        (
            {"version": "9.9"},
            "The nodes run different versions: 0.1.0 (node-a, node-b), 9.9 (node-c).",
            "version 9.9 (most: 0.1.0)",
        ),
        (
            {"handlers": ["tests.other"]},
            "Handler tests.noop is missing on node-c of partition default.",
            "handler tests.noop is missing",
        ),
    ],
)
def test_what_differs_is_told_with_values_and_nodes(odd: dict[str, Any], sentence: str, on_node: str) -> None:
    three(**odd)
    assert sentence in told()
    assert on_node in drift_by_node(drift())["node-c"]


def test_handlers_that_are_missing_on_the_same_nodes_are_told_in_one_sentence() -> None:
    factories.node("node-a", handlers=["tests.noop", "b", "c"])
    factories.node("node-b")
    assert told() == ["Handlers b, c are missing on node-b of partition default."]


def test_values_of_secrets_are_not_shown() -> None:
    for name, digest in (("node-a", "1f2e3d"), ("node-b", "9a8b7c")):
        factories.node(name, settings={"TIMERS_ENCRYPTION_KEYS": digest})
    (found,) = drift()
    assert found.values == [("", ["node-a"]), ("", ["node-b"])]
    assert found.on("node-b") == "TIMERS_ENCRYPTION_KEYS is another one"
    assert not [text for text in told() if "1f2e3d" in text or "9a8b7c" in text]


def test_partitions_are_not_compared_with_each_other_nor_are_nodes_that_have_ended() -> None:
    factories.node("node-a", settings={"TIMERS_LEASE": 10.0})
    factories.node("node-b", settings={"TIMERS_LEASE": 30.0}, partition="reports")
    factories.node("node-c", settings={"TIMERS_LEASE": 60.0}, state="stopped", ended_at=clock.now())
    factories.node("node-d", settings={"TIMERS_LEASE": 60.0}, beat_ago=60)
    assert drift() == ()


def test_a_node_that_runs_nothing_lacks_no_handlers() -> None:
    factories.node("node-a")
    factories.node("node-b", allow_execution=False, handlers=["other"])
    assert drift() == ()


def test_nodes_of_one_hash_are_not_compared() -> None:
    for seconds in (10.0, 30.0):
        factories.node(config_hash="0123456789ab", settings={"TIMERS_LEASE": seconds})
    assert drift() == ()


def test_settings_that_cannot_be_read_or_that_this_version_does_not_know_are_no_trouble() -> None:
    for number in range(2):
        factories.node(f"node-{number}", settings={"TIMERS_LATER": number})
    factories.spoil(factories.node("node-9"), "settings")
    (found,) = drift()
    assert found.words == "TIMERS_LATER is not the same on all nodes of partition default (node-0: 0; node-1: 1)."


def test_drift_of_nodes_of_one_name_names_them_by_their_ids() -> None:
    rows = [factories.node("web", settings={"TIMERS_LEASE": lease}) for lease in (10.0, 10.0, 30.0)]
    assert drift_by_node(drift()) == {f"web (node {rows[2].id})": ["TIMERS_LEASE 30.0 (most: 10.0)"]}
