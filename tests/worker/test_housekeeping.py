from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import words_of
from timers import conf
from timers.control.operations import start_operation
from timers.engine.death import Sightings
from timers.engine.rescue import Fate, rescue_worker
from timers.models import Claim, ClusterEvent, ClusterPause, Node, Timer, Waiting
from timers.scheduling import fire_timer, schedule_once
from timers.testing import Stepper, VirtualTime
from timers.worker import housekeeping as housekeeping_module
from timers.worker.housekeeping import Housekeeping


@pytest.fixture
def keeper(node: Stepper, monkeypatch: pytest.MonkeyPatch) -> Housekeeping:
    """The housekeeping of node-a, which has been steady; it counts any server as long up."""
    monkeypatch.setattr(housekeeping_module, "prune", lambda settings: None)
    return made(node, steady=True)


def made(node: Stepper, *, steady: bool) -> Housekeeping:
    heartbeat: Any = SimpleNamespace(steady=steady, stepped=lambda *reading: False)
    # A lease of the shortest kind: the server of the tests may have started just now.
    settings = conf.load({"TIMERS_LEASE": 0.5, "TIMERS_HEARTBEAT_INTERVAL": 0.2})
    return Housekeeping(node.node.id, "node-a", settings, heartbeat)


@pytest.fixture
def doomed(node: Stepper, time: VirtualTime, handlers: TemporaryHandlers) -> Stepper:
    """Another node that holds a one-shot and whose lease is over; node-a has gone on beating."""
    factories.group("work")
    other = Stepper(time, "node-b")
    schedule_once("work", "once", after=1)
    time.advance(1)
    other.claim()
    time.advance(11)
    Node.objects.filter(id=node.node.id).update(heartbeat_at=time.now, lease_expires_at=time.now)
    return other


def judged(keeper: Housekeeping, monkeypatch: pytest.MonkeyPatch, seconds: float = 11.0) -> None:
    """Two looks with so many seconds between them, by the clock of the judge."""
    now = 1000.0
    keeper._sightings = Sightings(lambda: now)
    keeper.step()
    now += seconds
    keeper.step()


def test_a_node_whose_lease_has_ended_lives_while_its_heartbeat_was_not_seen_to_stand_still(
    keeper: Housekeeping, doomed: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(keeper, monkeypatch, seconds=9.9)
    doomed.node.refresh_from_db()
    assert doomed.node.state == "starting"


def test_the_work_of_a_dead_node_is_taken_up_and_the_diary_tells(
    keeper: Housekeeping, node: Stepper, doomed: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(keeper, monkeypatch)
    doomed.node.refresh_from_db()
    assert doomed.node.state == "dead"
    assert "no heartbeat since 12:00:00" in doomed.node.state_reason
    assert not Claim.objects.exists()
    node.until_idle()
    assert words_of(Timer.objects.get()) == ["lost", "succeeded"]
    kinds = list(ClusterEvent.objects.order_by("id").values_list("kind", "node"))
    assert kinds[-2:] == [("node died", "node-b"), ("executions rescued", "node-b")]
    node.node.refresh_from_db()
    assert node.node.state == "starting"


def test_a_node_that_is_not_steady_itself_judges_nobody(
    node: Stepper, doomed: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(made(node, steady=False), monkeypatch)
    doomed.node.refresh_from_db()
    assert doomed.node.state == "starting"
    assert Claim.objects.count() == 1


@pytest.mark.parametrize(("steady", "told"), [(True, 1), (False, 0)])
def test_a_silent_node_is_suspect_before_it_is_dead(
    node: Stepper, time: VirtualTime, monkeypatch: pytest.MonkeyPatch, steady: bool, told: int
) -> None:
    monkeypatch.setattr(housekeeping_module, "prune", lambda settings: None)
    keeper = made(node, steady=steady)
    Stepper(time, "node-b")
    time.advance(3)
    keeper.step()
    time.advance(0.6)
    keeper.step()
    keeper.step()
    assert ClusterEvent.objects.filter(kind="node suspect", node="node-b").count() == told
    assert not ClusterEvent.objects.filter(kind="node died").exists()


def test_a_rescue_that_was_cut_short_is_taken_up_by_anyone(
    keeper: Housekeeping, node: Stepper, doomed: Stepper
) -> None:
    Node.objects.filter(id=doomed.node.id).update(state="dead")
    keeper.step()
    assert not Claim.objects.exists()


def test_a_dead_child_is_rescued_as_soon_as_the_database_takes_it(
    keeper: Housekeeping, node: Stepper, handlers: TemporaryHandlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.group("work")
    schedule_once("work", "once", after=0)
    (execution,) = node.claim()
    keeper.rescue_child(node.holder, {execution.id: Fate(node.time.us, reason="exited with 3")}, "exited with code 3")

    def away(*args: Any, **options: Any) -> Any:
        raise OperationalError("the database is unavailable")

    monkeypatch.setattr(housekeeping_module, "rescue_worker", away)
    with pytest.raises(OperationalError):
        keeper.step()
    assert keeper.pending == 1
    monkeypatch.setattr(housekeeping_module, "rescue_worker", rescue_worker)
    keeper.step()
    assert keeper.pending == 0
    assert words_of(execution.timer_id) == ["lost"]
    event = ClusterEvent.objects.get(kind="worker ended")
    assert event.detail == (
        "worker 1 (pid 4711): exited with code 3; 0 executions given back unstarted, 1 to be tried again, 0 failed"
    )


def test_a_worker_that_ended_in_order_and_left_nothing_is_not_worth_a_line(keeper: Housekeeping, node: Stepper) -> None:
    keeper.rescue_child(node.holder, {}, "told to", in_order=True)
    keeper.step()
    assert not ClusterEvent.objects.filter(kind="worker ended").exists()
    keeper.rescue_child(node.holder, {}, "exited with code 1")
    keeper.step()
    assert ClusterEvent.objects.get(kind="worker ended").detail.endswith("exited with code 1; it held nothing")


def test_it_looks_again_when_the_next_node_could_miss_its_second_beat(
    keeper: Housekeeping, node: Stepper, time: VirtualTime
) -> None:
    assert keeper.step() == 0.2
    Stepper(time, "node-b")
    time.advance(3.95)
    assert keeper.step() == pytest.approx(0.1)


def test_bulk_operations_are_carried_out_beside_it(
    keeper: Housekeeping, node: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[bool] = []
    monkeypatch.setattr(keeper.operations, "wake", lambda: woken.append(True))
    factories.waiting(factories.timer())
    keeper.step()
    assert not woken
    start_operation("retry", {"all": True})
    keeper.step()
    assert woken
    assert keeper.carry_out() == 0.0
    assert [row.state for row in Waiting.objects.all()] == ["ready"]
    closed: list[bool] = []
    monkeypatch.setattr(housekeeping_module, "connection", SimpleNamespace(close=lambda: closed.append(True)))
    while keeper.carry_out() == 0.0:
        pass
    assert closed, "an idle node keeps no session for them"


@pytest.mark.parametrize("paused", ["default", ""])
def test_work_is_called_back_where_whoever_paused_died_before_the_call_back(
    keeper: Housekeeping, time: VirtualTime, handlers: TemporaryHandlers, paused: str
) -> None:
    """A group that came while its partition was being paused was fired just then, and nobody was left to call back."""
    factories.group("work")
    ahead = Stepper(time, "node-b", look_ahead=2.0)
    schedule_once("work", "begun", after=0)
    ahead.claim()
    ahead.run()
    schedule_once("work", "soon", after=1)
    fire_timer("work", "soon", delay=1)
    ahead.claim()
    ClusterPause.objects.create(partition=paused, at=time.now)
    keeper.step()
    assert [words_of(Timer.objects.get(name=name)) for name in ("begun", "soon")] == [[], []]
    assert Claim.objects.count() == 1, "what has begun goes on"
    ahead.advance(5)
    assert [fire.name for fire in handlers.calls] == ["begun"]
    ClusterPause.objects.all().delete()
    ahead.advance(1)
    assert [fire.name for fire in handlers.calls] == ["begun", "soon", "soon"]


def test_what_has_begun_of_a_paused_partition_is_asked_for_once(
    keeper: Housekeeping, time: VirtualTime, handlers: TemporaryHandlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[int]] = []
    monkeypatch.setattr(housekeeping_module, "call_back_paused", asked.append)
    factories.group("work")
    other = Stepper(time, "node-b")
    for name in ("first", "second"):
        schedule_once("work", name, after=0)
        other.claim()
        ClusterPause.objects.get_or_create(partition="default", defaults={"at": time.now})
        keeper.step()
        keeper.step()
        ClusterPause.objects.all().delete()
    assert [len(claims) for claims in asked] == [1, 2]
