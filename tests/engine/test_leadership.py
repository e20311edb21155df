"""Passive clusters and groups with placement lead: who fires, from when on, and who does not any more."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, words_of
from timers import conf
from timers.domain.cluster_modes import NodeMode
from timers.engine import nodes
from timers.engine.claim import claim_ready
from timers.engine.death import declare_dead
from timers.engine.due import DueWork
from timers.engine.execution import Execution
from timers.engine.fire import fire_due
from timers.engine.leadership import settle
from timers.engine.nodes import Beat, beat, register
from timers.engine.prune import prune
from timers.exceptions import NotAllowedNow
from timers.insights.leadership import leaderships
from timers.models import ClusterEvent, Leadership, Node, Timer, TimerGroup
from timers.scheduling import fire_timer, pause_group, resume_group, schedule_fixed_rate, schedule_once, update_group
from timers.testing import Stepper, VirtualTime, registration

BEAT = Beat(0.0, 0, 0, 0, {})


def primary(time: VirtualTime, name: str = "primary", **said: Any) -> Stepper:
    return Stepper(time, name, mode=NodeMode("exclusive", **said))


def backup(time: VirtualTime, precedence: int = 1, **said: Any) -> Stepper:
    return Stepper(time, f"backup-{precedence}", mode=NodeMode("backup", precedence, **said))


def dies(node: Stepper) -> None:
    node.node.refresh_from_db()
    assert declare_dead(node.node, "no heartbeat")


def stops(node: Stepper) -> None:
    """As the supervisor stops a node in order."""
    nodes.set_draining(node.node.id)
    settle("default")
    nodes.set_stopped(node.node.id, node.node.name)
    settle("default")


def claim_as_before(node: Stepper, item: DueWork) -> list[Execution]:
    """What the node gets that claims by an earlier look, as one does that was frozen meanwhile."""
    now_us = node.time.us
    window: Any = {"now_us": now_us, "horizon_us": now_us, "limit": 10, "leading": item.leading}
    fired = fire_due(node.holder, item.group, item.shard, item.priority, **window)
    return [*fired.executions, *claim_ready(node.holder, item.group, **window)]


def states() -> dict[str, str]:
    return dict(Node.objects.order_by("id").values_list("name", "state"))


def leader() -> str:
    row = Leadership.objects.select_related("node").get()
    return "" if row.node is None else row.node.name


def lead_events() -> list[tuple[str, str]]:
    return list(ClusterEvent.objects.filter(kind__startswith="lead").order_by("id").values_list("kind", "node"))


@pytest.fixture
def due(group: TimerGroup, time: VirtualTime) -> Timer:
    timer = schedule_once("work", "due", after=5)
    time.advance(5)
    return timer


def test_only_the_leader_of_a_passive_partition_fires(due: Timer, time: VirtualTime) -> None:
    first, second = primary(time), backup(time)
    assert [node.beat() for node in (first, second)] == [True, False]
    assert states() == {"primary": "active", "backup-1": "standby"}
    assert second.claim() == []
    assert len(first.step()) == 1
    assert [(row.node, row.outcome) for row in finals_of(due)] == [("primary", "succeeded")]


def test_a_backup_fires_once_the_leader_was_declared_dead(due: Timer, time: VirtualTime) -> None:
    first, second, third = primary(time), backup(time, 1), backup(time, 2)
    for node in (first, second, third):
        node.beat()
    dies(first)
    assert third.step() == []
    assert len(second.step()) == 1
    assert lead_events() == [("lead taken", "primary"), ("lead taken", "backup-1")]
    detail = ClusterEvent.objects.filter(node="backup-1", kind="lead taken").get().detail
    assert detail == "partition default, epoch 2: the leader had ended"


def test_the_next_leader_is_appointed_by_whoever_notices_the_death(time: VirtualTime, group: TimerGroup) -> None:
    first, second, third = primary(time), backup(time, 1), backup(time, 2)
    for node in (first, second, third):
        node.beat()
    dies(first)
    assert not third.beat()
    assert leader() == "backup-1"
    assert states()["backup-1"] == "active"


def test_a_fire_of_an_earlier_epoch_takes_nothing(due: Timer, time: VirtualTime) -> None:
    first, second = primary(time), backup(time)
    first.beat()
    second.beat()
    _, work = first._groups.with_due_work(time.us, time.us, {})
    dies(first)
    second.beat()
    assert claim_as_before(first, work[0]) == []
    assert len(second.claim()) == 1


def test_a_ready_execution_is_not_claimed_under_an_earlier_epoch(group: TimerGroup, time: VirtualTime) -> None:
    schedule_once("work", "run", after=100)
    fire_timer("work", "run")
    first, second = primary(time), backup(time)
    first.beat()
    second.beat()
    _, work = first._groups.with_due_work(time.us, time.us, {})
    assert work[0].waiting
    dies(first)
    second.beat()
    assert claim_as_before(first, work[0]) == []
    assert len(second.claim()) == 1


def test_a_backup_that_is_first_waits_until_a_primary_has_led_once(due: Timer, time: VirtualTime) -> None:
    second = backup(time)
    assert second.step() == []
    first = primary(time)
    assert first.beat()
    stops(first)
    assert len(second.step()) == 1


def test_a_clean_stop_hands_over_at_once(due: Timer, time: VirtualTime) -> None:
    first, second = primary(time), backup(time)
    first.beat()
    second.beat()
    nodes.set_draining(first.node.id)
    settle("default")
    assert leader() == "backup-1"
    assert len(second.step()) == 1
    nodes.set_stopped(first.node.id, "primary")
    assert leader() == "backup-1"


def test_a_clean_stop_with_hold_keeps_the_lead_until_the_primary_is_back(due: Timer, time: VirtualTime) -> None:
    first, second = primary(time, on_stop="hold"), backup(time)
    first.beat()
    second.beat()
    stops(first)
    assert second.step() == []
    assert leader() == "primary"
    again = primary(time, "primary-2", on_stop="hold")
    assert len(again.step()) == 1
    assert [kind for kind, _ in lead_events()] == ["lead taken", "lead held", "lead taken"]


def test_node_that_holds_the_lead_is_not_pruned(due: Timer, time: VirtualTime) -> None:
    first, second, other = primary(time, on_stop="hold"), backup(time), factories.node("other", state="stopped")
    Node.objects.filter(id=other.id).update(ended_at=time.now)
    first.beat()
    second.beat()
    stops(first)
    time.advance(400 * 86_400)
    prune(conf.current())
    assert not Node.objects.filter(id=other.id).exists(), "what ended long ago and leads nothing is removed"
    assert leader() == "primary"
    assert [view.node for view in leaderships(time.now)] == ["primary"]
    again = primary(time, "primary-2", on_stop="hold")
    again.beat()
    assert leader() == "primary-2"
    prune(conf.current())
    assert "primary" not in states()


def test_dead_node_is_not_pruned_before_it_is_rescued(due: Timer, time: VirtualTime) -> None:
    node = Stepper(time, "lost")
    assert len(node.claim()) == 1
    Node.objects.filter(id=node.node.id).update(state="dead", ended_at=time.now)
    time.advance(400 * 86_400)
    prune(conf.current())
    assert "lost" in states()
    Stepper(time, "other").rescue(node)
    prune(conf.current())
    assert "lost" not in states()


def test_a_leader_that_dies_while_it_drains_with_hold_is_replaced(due: Timer, time: VirtualTime) -> None:
    first, second = primary(time, on_stop="hold"), backup(time)
    first.beat()
    second.beat()
    nodes.set_draining(first.node.id)
    settle("default")
    assert leader() == "primary"
    dies(first)
    assert len(second.step()) == 1


def test_the_lead_of_the_last_node_that_stops_is_free(due: Timer, time: VirtualTime) -> None:
    first = primary(time)
    first.beat()
    stops(first)
    assert leader() == ""
    assert len(backup(time).step()) == 1


def test_a_primary_that_is_back_takes_over_without_a_gap(group: TimerGroup, time: VirtualTime) -> None:
    timer = schedule_fixed_rate("work", "each-second", period=1, overrides={"misfire_policy": "skip"})
    first, second = primary(time), backup(time)
    first.beat()
    dies(first)
    second.beat()
    second.advance(3)
    again = primary(time)
    time.advance(0.5)
    assert again.beat()
    assert not second.beat()
    assert second.advance(1) == []
    again.advance(2)
    outcomes = [(row.scheduled_for, row.outcome) for row in finals_of(timer)]
    instants = sorted(at for at, _ in outcomes)
    assert {word for _, word in outcomes} == {"succeeded"}
    assert {(after - before).total_seconds() for before, after in pairwise(instants)} == {1.0}


def test_failback_by_hand_leaves_the_lead_where_it_is(time: VirtualTime, group: TimerGroup) -> None:
    second = backup(time, failback="manual")
    first = primary(time)
    first.beat()
    dies(first)
    second.beat()
    primary(time).beat()
    assert leader() == "backup-1"


def test_a_node_leads_only_once_its_workers_have_come_up(time: VirtualTime, group: TimerGroup) -> None:
    row = register(registration("primary", mode=NodeMode("exclusive")))
    beat(row.id, 10, Beat(0.0, 0, 0, 0, {}, ready=False))
    settle("default")
    assert (states()["primary"], Leadership.objects.exists()) == ("starting", False)
    beat(row.id, 10, BEAT)
    settle("default")
    assert (states()["primary"], leader()) == ("active", "primary")


def test_a_node_whose_heartbeat_is_late_is_not_made_the_leader(time: VirtualTime, group: TimerGroup) -> None:
    first, second = primary(time), backup(time, 1)
    third = backup(time, 2)
    for node in (first, second, third):
        node.beat()
    time.advance(5)
    dies(first)
    third.beat()
    assert leader() == "backup-2"


def test_a_heartbeat_renews_the_lease_of_the_leadership(time: VirtualTime, group: TimerGroup) -> None:
    first = primary(time)
    first.beat()
    time.advance(2)
    first.beat()
    row = Leadership.objects.get()
    assert (row.expires_at - time.now).total_seconds() == 10


def test_paused_groups_and_waiting_executions_stay_as_they_are(time: VirtualTime, group: TimerGroup) -> None:
    first, second = primary(time), backup(time)
    first.beat()
    second.beat()
    paused = factories.group("paused")
    timer = schedule_once("paused", "later", after=1)
    pause_group("paused", reason="maintenance", actor="olga")
    parked = factories.waiting(factories.timer(in_group=group), "failed")
    queued = factories.waiting(factories.timer(in_group=group), "queued")
    time.advance(2)
    dies(first)
    assert second.until_idle() == []
    for row, state in ((paused, "paused"), (parked, "failed"), (queued, "queued")):
        row.refresh_from_db()
        assert row.state == state
    resume_group("paused")
    second.until_idle()
    assert words_of(timer) == ["succeeded"]


def test_what_the_dead_leader_held_is_run_by_the_next_one(due: Timer, time: VirtualTime) -> None:
    first, second = primary(time), backup(time)
    second.beat()
    assert len(first.claim()) == 1
    dies(first)
    second.beat()
    second.rescue(first)
    second.until_idle()
    assert words_of(due) == ["lost", "succeeded"]


@pytest.mark.parametrize(
    ("live", "joins", "problem"),
    [
        (NodeMode(), NodeMode("exclusive"), "--mode: exclusive clashes with node a, which is distributed"),
        (NodeMode("exclusive"), NodeMode(), "--mode: distributed clashes with node a, which is exclusive"),
        (NodeMode("exclusive"), NodeMode("exclusive"), "--mode: partition default has an exclusive node, a"),
        (NodeMode("backup", 1), NodeMode("backup", 1), "--precedence: 1 is taken by node a in partition default"),
    ],
)
def test_a_node_whose_mode_clashes_is_not_registered(
    live: NodeMode, joins: NodeMode, problem: str, time: VirtualTime
) -> None:
    register(registration("a", mode=live))
    with pytest.raises(NotAllowedNow, match=problem):
        register(registration("b", mode=joins))
    assert Node.objects.count() == 1
    register(registration("b", mode=joins, partition="other"))


# Groups with placement lead in a distributed partition.


@pytest.fixture
def singleton(time: VirtualTime, handlers: TemporaryHandlers) -> TimerGroup:
    return factories.group("singleton", placement="lead")


def test_a_lead_group_is_fired_by_one_node_and_the_others_by_all(
    singleton: TimerGroup, group: TimerGroup, time: VirtualTime
) -> None:
    a, b = Stepper(time, "a"), Stepper(time, "b")
    assert [node.beat() for node in (a, b)] == [True, False]
    for name in ("singleton", "work"):
        schedule_once(name, "due", after=1)
    time.advance(1)
    assert [execution.group.name for execution in b.claim()] == ["work"]
    assert [execution.group.name for execution in a.claim()] == ["singleton"]


def test_the_lead_of_a_distributed_partition_changes_with_the_death_of_its_node(
    singleton: TimerGroup, time: VirtualTime
) -> None:
    a, b = Stepper(time, "a"), Stepper(time, "b")
    a.beat()
    b.beat()
    timer = schedule_once("singleton", "due", after=1)
    time.advance(1)
    dies(a)
    b.until_idle()
    assert words_of(timer) == ["succeeded"]
    assert states()["b"] == "active"


def test_no_leader_is_elected_where_no_group_needs_one(group: TimerGroup, time: VirtualTime) -> None:
    a = Stepper(time, "a")
    assert not a.beat()
    assert not Leadership.objects.exists()


def test_a_group_that_becomes_a_lead_group_is_fired_by_the_leader_only(group: TimerGroup, time: VirtualTime) -> None:
    a, b = Stepper(time, "a"), Stepper(time, "b")
    update_group("work", placement="lead")
    a.beat()
    b.beat()
    schedule_once("work", "due", after=1)
    time.advance(1)
    assert b.claim() == []
    assert len(a.claim()) == 1
