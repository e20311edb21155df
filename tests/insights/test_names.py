from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from timers import clock
from timers.domain.cluster_modes import NodeMode
from timers.engine.nodes import register
from timers.exceptions import NotAllowedNow
from timers.insights.cluster import cluster
from timers.insights.doctor import examine
from timers.insights.health import concerns
from timers.insights.names import SHOWN, refused_starts
from timers.testing import VirtualTime, registration


@pytest.fixture
def time(db: None) -> VirtualTime:
    """The database clock of the test's session."""
    return VirtualTime()


def told() -> list[str]:
    return [concern.text for concern in concerns(cluster(clock.now()))]


def test_a_start_that_was_refused_is_told_with_its_host(time: VirtualTime) -> None:
    register(registration("node-a", mode=NodeMode("exclusive")))
    with pytest.raises(NotAllowedNow):
        register(registration("node-b", host="machine-2", mode=NodeMode("exclusive")))
    (sentence,) = [each for each in told() if each.startswith("A start of node node-b")]
    assert sentence.startswith("A start of node node-b was refused at 12:00:00 UTC on machine-2: --mode: partition")
    assert sentence in [each.what for each in examine(time.now).findings]


def test_live_nodes_of_one_name_are_told_with_their_ids(time: VirtualTime) -> None:
    rows = [factories.node("web", host=f"machine-{number}", pid=number) for number in (1, 2)]
    factories.node("web", state="dead", ended_at=time.now)
    sentence = (
        f"2 live nodes are named web: node {rows[0].id} (pid 1 on machine-1), node {rows[1].id} (pid 2 on machine-2)."
        " Drain and stop them by their ids, or name them apart by --name."
    )
    assert told() == [sentence]
    assert sentence in [each.what for each in examine(time.now).findings]
    assert [each.label for each in cluster(time.now).nodes] == [f"web (node {row.id})" for row in rows]


def test_a_start_that_was_refused_is_not_told_for_ever(time: VirtualTime) -> None:
    factories.node("node-a")
    factories.event("node refused", node="node-a", detail="on machine-2: why", at=time.now - timedelta(minutes=16))
    assert told() == []


def test_of_many_refused_starts_the_last_of_each_reason_are_told(time: VirtualTime) -> None:
    for number in range(40):
        factories.event("node refused", node=f"node-{number % 20}", detail="on machine-2: why", at=time.now)
    found = refused_starts(time.now)
    assert len(found) == len({each.node for each in found}) == SHOWN


def test_machines_that_share_a_host_name_are_told(time: VirtualTime) -> None:
    factories.node("web", host="web", machine="one")
    factories.node("web-2", host="web", machine="two")
    assert told() == [
        "2 machines are named web: nodes web, web-2 run on different ones. Name the machines apart, and the nodes by"
        " --name."
    ]


def test_nodes_of_one_machine_and_of_machines_that_are_not_known_are_well(time: VirtualTime) -> None:
    for name, machine in (("web", "one"), ("web-2", "one"), ("web-3", "")):
        factories.node(name, host="web", machine=machine)
    factories.node("web-4", host="web", machine="two", state="dead", ended_at=time.now - timedelta(hours=2))
    assert told() == []
