from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from timers.clock import boot_id
from timers.domain.cluster_modes import NodeMode
from timers.engine import nodes
from timers.engine.death import declare_dead
from timers.engine.nodes import (
    Beat,
    Renewed,
    beat,
    free_name,
    handlers_elsewhere,
    live_peers,
    position_among,
    register,
)
from timers.exceptions import NotAllowedNow
from timers.models import Claim, ClusterEvent, Node, TimerGroup
from timers.scheduling import schedule_once
from timers.testing import START, Stepper, VirtualTime, registration

REPORT = Beat(clock_offset=0.25, busy_threads=2, busy_async=1, rss=1024, counters={"1": {"succeeded": 7}})
NOBODY = 2**22 - 3
"""A process id that no process has."""


def test_a_node_registers_with_an_incarnation_of_its_own_and_a_lease(time: VirtualTime) -> None:
    row = register(registration("node-a", roles=["gpu"], handlers=["b", "a"]))
    row.refresh_from_db()
    assert (row.name, row.state, row.roles, row.handlers) == ("node-a", "starting", ["gpu"], ["b", "a"])
    assert (row.started_at, row.heartbeat_at, row.lease_expires_at) == (START, START, START + timedelta(seconds=10))
    assert list(ClusterEvent.objects.values_list("kind", "node")) == [("node joined", "node-a")]


def test_nodes_publish_a_hash_of_their_configuration(time: VirtualTime) -> None:
    first, same = (register(registration(name, settings={"TIMERS_LEASE": 10.0})) for name in ("node-a", "node-b"))
    other = register(registration("node-c", settings={"TIMERS_LEASE": 30.0}))
    assert first.config_hash == same.config_hash != other.config_hash
    assert len(first.config_hash) == 12


def test_node_of_a_name_that_is_alive_starts_next_to_it(time: VirtualTime) -> None:
    first = register(registration("node-a", pid=1))
    second = register(registration("node-a", host="machine-2", pid=7))
    time.advance(1)
    for row in (first, second):
        assert beat(row.id, 10, REPORT) is not None
    assert list(Node.objects.order_by("id").values_list("name", "state")) == [("node-a", "active")] * 2
    joined = ClusterEvent.objects.filter(kind="node joined").order_by("-id").values_list("detail", flat=True)[0]
    assert joined.endswith(f"shares its name with node {first.id} (pid 1 on machine-1)")


def test_nodes_of_one_name_claim_finish_and_die_apart(group: TimerGroup, time: VirtualTime) -> None:
    first, second = (Stepper(time, "node-a") for _ in range(2))
    for name in ("one", "two"):
        schedule_once("work", name, after=1)
    time.advance(1)
    claimed = [node.claim(limit=1) for node in (first, second)]
    assert [len(each) for each in claimed] == [1, 1]
    declare_dead(Node.objects.get(id=first.node.id), "no heartbeat")
    second.rescue(first)
    assert list(Claim.objects.values_list("node_id", flat=True)) == [second.node.id]
    assert beat(first.node.id, 10, REPORT) is None
    assert beat(second.node.id, 10, REPORT) is not None


def test_a_refused_start_is_an_event_once_in_a_while(time: VirtualTime) -> None:
    row = register(registration("node-a", mode=NodeMode("exclusive")))

    def refused() -> list[tuple[str, str]]:
        with pytest.raises(NotAllowedNow):
            register(registration("node-a", host="machine-2", pid=7, mode=NodeMode("exclusive")))
        return list(ClusterEvent.objects.filter(kind="node refused").values_list("node", "detail"))

    ((name, detail),) = refused()
    assert name == "node-a"
    assert detail.startswith("on machine-2: --mode: partition default has an exclusive node, node-a.")
    time.advance(5)
    beat(row.id, 3600, REPORT)
    assert len(refused()) == 1
    time.advance(601)
    assert len(refused()) == 2


def test_a_node_publishes_which_machine_it_runs_on(time: VirtualTime) -> None:
    assert register(registration("node-a")).machine == register(registration("node-b")).machine == boot_id()
    assert register(registration("node-c", machine="another")).machine == "another"


def test_a_name_is_taken_over_when_its_lease_has_ended(time: VirtualTime) -> None:
    old = register(registration("node-a", pid=1))
    time.advance(10.1)
    new = register(registration("node-a", host="machine-2"))
    old.refresh_from_db()
    assert (old.state, old.ended_at) == ("dead", time.now)
    assert new.incarnation != old.incarnation
    assert [event.kind for event in ClusterEvent.objects.order_by("id")] == ["node joined", "node died", "node joined"]


def test_a_restart_on_the_same_host_takes_over_at_once_from_a_process_that_is_no_more(time: VirtualTime) -> None:
    old = register(registration("node-a", pid=NOBODY, crash_lock=True))
    register(registration("node-a"))
    old.refresh_from_db()
    assert old.state == "dead"


@pytest.mark.parametrize(
    "said",
    [
        {"host": "machine-2", "pid": NOBODY},
        {"machine": "another", "pid": NOBODY},
        {"pid": os.getpid()},
        {"pid": 1},
    ],
)
def test_a_node_that_may_be_alive_is_not_taken_over(time: VirtualTime, said: dict[str, Any]) -> None:
    old = register(registration("node-a", crash_lock=True, **said))
    register(registration("node-a"))
    old.refresh_from_db()
    assert old.state == "starting"


def test_a_free_name_is_found_by_counting(time: VirtualTime) -> None:
    assert free_name("node", "machine-1") == "node"
    for name in ("node", "node-2"):
        register(registration(name, pid=1))
    assert free_name("node", "machine-1") == "node-3"
    nodes.set_stopped(Node.objects.get(name="node-2").id, "node-2")
    assert free_name("node", "machine-1") == "node-2"
    time.advance(11)
    assert free_name("node", "machine-1") == "node"


def test_a_beat_renews_the_lease_and_writes_the_report(time: VirtualTime) -> None:
    row = register(registration("node-a"))
    time.advance(5)
    assert beat(row.id, 10, REPORT) == Renewed(time.now, "", is_virtual=True)
    row.refresh_from_db()
    assert (row.state, row.heartbeat_at, row.lease_expires_at) == ("active", time.now, time.now + timedelta(seconds=10))
    assert (row.clock_offset, row.busy, row.rss, row.counters) == (0.25, 3, 1024, {"1": {"succeeded": 7}})


def test_a_beat_keeps_a_draining_node_draining(time: VirtualTime) -> None:
    row = register(registration("node-a"))
    nodes.set_draining(row.id)
    assert beat(row.id, 10, replace(REPORT, draining=True)) is not None
    row.refresh_from_db()
    assert row.state == "draining"


def test_a_wish_goes_over_to_the_next_incarnation_only_where_the_same_process_says_so(time: VirtualTime) -> None:
    row = register(registration("node-a"))
    declare_dead(row, "no heartbeat")
    again = register(replace(registration("node-a"), wish="drain"))
    beaten = beat(again.id, 10, REPORT)
    assert beaten is not None and beaten.wish == "drain"
    declare_dead(again, "no heartbeat")
    assert register(registration("node-a")).wish == ""


def test_a_node_that_takes_work_again_says_so_with_its_beat(time: VirtualTime) -> None:
    row = register(registration("node-a"))
    beat(row.id, 10, replace(REPORT, draining=True))
    beat(row.id, 10, REPORT)
    row.refresh_from_db()
    assert row.state == "active"


def test_a_beat_is_refused_once_the_node_was_declared_dead(time: VirtualTime) -> None:
    row = register(registration("node-a"))
    assert declare_dead(row, "no heartbeat")
    time.advance(1)
    assert beat(row.id, 10, REPORT) is None
    row.refresh_from_db()
    assert (row.state, row.state_reason, row.heartbeat_at) == ("dead", "no heartbeat", START)


def test_a_stop_after_the_verdict_does_not_change_it(time: VirtualTime) -> None:
    row = register(registration("node-a"))
    declare_dead(row, "no heartbeat")
    nodes.set_stopped(row.id, "node-a")
    nodes.set_draining(row.id)
    row.refresh_from_db()
    assert row.state == "dead"


def test_handlers_that_only_other_living_nodes_know_are_told(time: VirtualTime) -> None:
    register(registration("node-a", handlers=["here", "there"]))
    register(registration("node-b", handlers=["far"], partition="other"))
    register(registration("node-c", handlers=["idle"], allow_execution=False))
    factories.node(handlers=["gone"], state="dead")
    factories.node(handlers=["late"], beat_ago=11)
    assert handlers_elsewhere(["here"]) == ["far", "there"]
    assert handlers_elsewhere(["here"], live_peers("default")) == ["there"]


def test_workers_of_live_nodes_have_positions_of_their_own(time: VirtualTime) -> None:
    ids = [factories.node(workers=workers, state="active").id for workers in (2, 1, 3)]
    factories.node(workers=5, state="draining")
    factories.node(workers=5, state="standby")
    factories.node(workers=5, state="active", allow_execution=False)
    factories.node(workers=5, state="active", beat_ago=11)
    peers = live_peers("default")
    asked = [(ids[0], 1), (ids[0], 2), (ids[1], 1), (ids[2], 1), (ids[2], 2), (ids[2], 3)]
    assert [position_among(peers, *worker) for worker in asked] == [(position, 6) for position in range(6)]


def test_worker_of_a_node_that_is_starting_has_a_position(time: VirtualTime) -> None:
    first = factories.node(workers=2, state="active")
    second = factories.node(workers=2, state="starting")
    assert position_among(live_peers(), second.id, 2) == (3, 4)
    assert position_among(live_peers(), first.id, 2) == (1, 2)
    assert position_among([], second.id, 2) == (0, 1)


def test_a_node_behind_a_pooler_neither_listens_nor_holds_a_crash_lock(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = replace(registration("node-a", crash_lock=True), listens=True)
    monkeypatch.setattr(nodes, "is_pooled", lambda _: True)
    row = register(said)
    assert (row.listens, row.crash_lock) == (False, False)
