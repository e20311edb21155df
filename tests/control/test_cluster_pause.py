"""Pauses of the whole cluster and of partitions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.sessions import OtherSession, in_threads
from timers.consuming import claim, commit
from timers.control.cluster_pause import pause_cluster, pause_partition, resume_cluster, resume_partition
from timers.engine.claim import claim_ready
from timers.engine.fire import fire_due
from timers.exceptions import InvalidRequest, TimerNotFound
from timers.insights import counts
from timers.insights.cluster import cluster
from timers.insights.doctor.examine import examine
from timers.insights.groups import groups
from timers.insights.health import concerns, sentence
from timers.insights.rates import rates
from timers.insights.timers import soonest
from timers.models import AuditEntry, ClusterEvent, ClusterPause, TimerGroup, Waiting
from timers.scheduling import fire_timer, get_timer, schedule_fixed_rate, schedule_once, update_group
from timers.testing import START, Stepper, VirtualTime


def events() -> list[tuple[str, str, str]]:
    return list(ClusterEvent.objects.order_by("id").values_list("kind", "node", "detail"))


def test_while_the_cluster_is_paused_nothing_fires_and_no_retry_is_claimed(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_fixed_rate("work", "often", period=10)
    execution = fire_timer("work", "often")
    pause_cluster(reason="the warehouse floods", actor="ann")
    node.play(seconds=200, every=5)
    assert not handlers.calls
    assert str(Waiting.objects.get().id) == execution
    assert resume_cluster()
    node.until_idle()
    # One for what was missed, and the run that waited.
    assert len(handlers.calls) == 2
    assert get_timer("work", "often").next_fire_at == START + timedelta(seconds=210)


def test_what_a_pause_made_late_follows_the_misfire_policy(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_once("work", "once", after=10, overrides={"misfire_policy": "skip"})
    pause_cluster()
    node.play(seconds=200, every=10)
    resume_cluster()
    node.until_idle()
    assert not handlers.calls
    assert get_timer("work", "once").state == "finished"


def test_consumers_get_nothing_while_the_cluster_is_paused(time: VirtualTime) -> None:
    factories.group("pulled", action={"kind": "pull"})
    schedule_once("pulled", "once", after=1)
    time.advance(2)
    pause_cluster()
    assert claim("pulled", "ann") == []
    resume_cluster()
    assert len(claim("pulled", "ann")) == 1


def test_the_cluster_is_paused_once_and_resumed_once(time: VirtualTime) -> None:
    first = pause_cluster(reason="floods", actor="ann")
    assert pause_cluster(reason="fire", actor="bob") == first
    assert ClusterPause.objects.get().reason == "floods"
    assert resume_cluster(actor="bob")
    assert not resume_cluster()
    assert events() == [("cluster paused", "", "by ann: floods"), ("cluster resumed", "", "by bob")]


def test_a_pause_is_told_wherever_the_cluster_is_and_is_no_error(
    group: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    schedule_once("work", "once", after=1)
    pause_cluster(reason="the warehouse floods", actor="ann")
    time.advance(1000)
    factories.node("node-b")
    seen = cluster(time.now)
    words = f"since {START:%Y-%m-%d %H:%M:%S} UTC by ann: the warehouse floods"
    assert seen.pause is not None and seen.pause.words == words
    assert [concern.text for concern in concerns(seen)] == [
        f"The cluster is paused {words}. Nothing starts until resumed."
    ]
    said = sentence(seen, rates(time.now), counts.waiting(), counts.overdue(time.now), time.now)
    assert said.level == "attention"
    assert said.text.startswith(f"Paused {words}. 1 timer is overdue. 1 of 2 nodes alive;")
    found = [
        finding for finding in examine(time.now).findings if finding.check in ("cluster_concerns", "overdue_timers")
    ]
    assert [(finding.severity, finding.check) for finding in found] == [("warning", "cluster_concerns")]


def two_partitions(time: VirtualTime) -> tuple[Stepper, Stepper]:
    """A node and a group for each of two partitions."""
    factories.group("work")
    factories.group("reports", partition="reports")
    return Stepper(time, "node-a"), Stepper(time, "node-b", partition="reports")


def test_while_a_partition_is_paused_its_groups_alone_fire_nothing(
    time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    both = two_partitions(time)
    for group in ("work", "reports"):
        schedule_once(group, "once", after=10)
    run = fire_timer("reports", "once")
    pause_partition("reports", reason="the warehouse floods", actor="ann")
    time.advance(20)
    for node in both:
        node.until_idle()
    assert [fire.group for fire in handlers.calls] == ["work"]
    assert str(Waiting.objects.get().id) == run
    assert resume_partition("reports", actor="bob")
    for node in both:
        node.until_idle()
    assert sorted(fire.group for fire in handlers.calls) == ["reports", "reports", "work"]
    assert events()[-2:] == [
        ("partition paused", "", "reports by ann: the warehouse floods"),
        ("partition resumed", "", "reports by bob"),
    ]


def test_what_the_pause_of_a_partition_made_late_follows_the_misfire_policy(
    time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    _, node = two_partitions(time)
    schedule_once("reports", "once", after=10, overrides={"misfire_policy": "skip"})
    pause_partition("reports")
    node.play(seconds=200, every=10)
    resume_partition("reports")
    node.until_idle()
    assert not handlers.calls
    assert get_timer("reports", "once").state == "finished"


def test_consumers_of_a_paused_partition_get_nothing_and_commit_what_they_hold(time: VirtualTime) -> None:
    for name, partition in (("pulled", "default"), ("fetched", "reports")):
        factories.group(name, action={"kind": "pull"}, partition=partition)
        schedule_once(name, "first", after=1)
        schedule_once(name, "second", after=2)
    time.advance(1)
    (held,) = claim("fetched", "ann")
    time.advance(2)
    pause_partition("reports")
    assert claim("fetched", "ann") == []
    assert len(claim("pulled", "ann", limit=5)) == 2
    commit(held.execution, held.token)
    resume_partition("reports")
    assert len(claim("fetched", "ann")) == 1


def test_a_partition_is_paused_once_and_resumed_once(time: VirtualTime) -> None:
    factories.group(partition="reports")
    first = pause_partition("reports", reason="floods", actor="ann")
    assert pause_partition("reports", reason="fire", actor="bob") == first
    assert resume_partition("reports")
    assert not resume_partition("reports")
    assert [(entry.verb, entry.subject_name) for entry in AuditEntry.objects.order_by("id")] == [
        ("partition.pause", "reports"),
        ("partition.resume", "reports"),
    ]


def test_pauses_of_the_cluster_and_of_a_partition_are_independent(
    time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    _, node = two_partitions(time)
    schedule_once("reports", "once", after=1)
    pause_partition("reports")
    pause_cluster()
    for resume in (resume_cluster, lambda: resume_partition("reports")):
        node.advance(5)
        assert not handlers.calls
        assert resume()
    node.until_idle()
    assert len(handlers.calls) == 1


@pytest.mark.parametrize("known", ["group", "node"])
def test_only_a_partition_with_a_group_or_a_live_node_is_paused(time: VirtualTime, known: str) -> None:
    factories.node(partition="reports", state="dead")
    with pytest.raises(TimerNotFound, match="partition: reports has neither a group nor a live node"):
        pause_partition("reports")
    factories.group(partition="reports") if known == "group" else factories.node(partition="reports")
    assert pause_partition("reports").partition == "reports"


@pytest.mark.parametrize("name", ["", "x" * 201, 7])
def test_what_is_no_name_of_a_partition_is_refused(time: VirtualTime, name: Any) -> None:
    for verb in (pause_partition, resume_partition):
        with pytest.raises(InvalidRequest, match="partition"):
            verb(name)
    assert not ClusterPause.objects.exists()


def test_the_pause_of_a_partition_is_told_and_is_no_error(time: VirtualTime, handlers: TemporaryHandlers) -> None:
    two_partitions(time)
    schedule_once("reports", "once", after=1)
    pause_partition("reports", reason="the warehouse floods", actor="ann")
    time.advance(1000)
    for partition in ("default", "reports"):
        factories.node(partition=partition)
    seen = cluster(time.now)
    words = f"since {START:%Y-%m-%d %H:%M:%S} UTC by ann: the warehouse floods"
    (pause,) = seen.partition_pauses
    assert (seen.pause, pause.partition, pause.words) == (None, "reports", words)
    (concern,) = concerns(seen)
    assert concern.text == f"Partition reports is paused {words}. Nothing of it starts until resumed:"
    assert concern.command == "python manage.py timercluster resume --partition reports"
    said = sentence(seen, rates(time.now), counts.waiting(), counts.overdue(time.now), time.now)
    assert said.level == "attention"
    assert said.text.startswith("partition reports paused; 2 of 4 nodes alive;")
    shown = {group.name: group for group in groups(time.now)}
    assert (shown["reports"].overdue.value, shown["reports"].next_fire_at) == (0, None)
    assert soonest() == []
    found = [each for each in examine(time.now).findings if each.check in ("cluster_concerns", "overdue_timers")]
    assert [(finding.severity, finding.check) for finding in found] == [("warning", "cluster_concerns")]


def test_a_fire_that_is_under_way_ends_before_its_partition_is_paused_and_none_follows(
    committed: None, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    _, node = two_partitions(time)
    schedule_once("reports", "first", after=0)
    schedule_once("reports", "second", after=5)
    with OtherSession(time.now) as session:
        session.begin()
        session.run(node.claim)
        with OtherSession(time.now) as person:
            answer = person.start(lambda: pause_partition("reports"))
            person.waits_for_a_lock()
            session.commit()
            assert answer.result(timeout=20).partition == "reports"
    time.advance(10)
    node.until_idle()
    assert [fire.name for fire in handlers.calls] in ([], ["first"])
    assert get_timer("reports", "second").fire_count == 0


@pytest.mark.parametrize("partition", ["reports", ""])
def test_of_many_who_pause_and_resume_at_once_one_does(committed: None, time: VirtualTime, partition: str) -> None:
    factories.group(partition="reports")

    def pause(_: int) -> int:
        return (pause_partition(partition) if partition else pause_cluster()).pk

    def resume(_: int) -> bool:
        return resume_partition(partition) if partition else resume_cluster()

    assert len(set(in_threads(4, pause))) == 1
    assert sorted(in_threads(4, resume)) == [False, False, False, True]
    kind = "partition" if partition else "cluster"
    assert [event for event, _, _ in events()] == [f"{kind} paused", f"{kind} resumed"]
    assert AuditEntry.objects.count() == 2


def test_a_pause_that_meets_one_that_is_just_being_resumed_is_made(committed: None, time: VirtualTime) -> None:
    before = pause_cluster().at
    time.advance(1)
    with OtherSession(time.now) as session, OtherSession(time.now) as person:
        session.begin()
        session.run(resume_cluster)
        pausing = person.start(pause_cluster)
        person.waits_for_a_lock()
        session.commit()
        assert pausing.result(10).at > before
    assert ClusterPause.objects.exists()


def test_many_who_pause_and_resume_one_after_the_other_all_get_an_answer(committed: None, time: VirtualTime) -> None:
    def act(_: int) -> None:
        for _ in range(20):
            pause_cluster()
            resume_cluster()

    assert in_threads(4, act) == [None] * 4


@pytest.mark.parametrize(("comes", "partition"), [("created", "reports"), ("created", ""), ("moved", "reports")])
def test_groups_that_come_while_their_partition_is_being_paused_fire_nothing_after_it(
    committed: None, time: VirtualTime, handlers: TemporaryHandlers, partition: str, comes: str
) -> None:
    factories.group("old", partition="reports")
    node = Stepper(time, "node-b", partition="reports")
    if comes == "moved":
        factories.group("late", partition="elsewhere")
    with OtherSession(time.now) as session:
        session.begin()
        pause = session.run(lambda: pause_partition(partition) if partition else pause_cluster())
        if comes == "created":
            factories.group("late", partition="reports")
        else:
            update_group("late", partition="reports")
        schedule_once("late", "due", after=0)
        for name in ("ready", "begun"):
            schedule_once("late", name, after=60)
            fire_timer("late", name)
        now = time.us
        window: dict[str, Any] = {"now_us": now, "horizon_us": now, "limit": 10}
        _, work = node._groups.with_due_work(now, now, {})
        begun = [
            execution for item in work[:1]
            for execution in claim_ready(node.holder, item.group, **{**window, "limit": 1})
        ]  # fmt: skip
        session.commit()
        came = [
            execution for item in work
            for execution in (
                *claim_ready(node.holder, item.group, **window),
                *fire_due(node.holder, item.group, item.shard, item.priority, **window).executions,
            )
        ]  # fmt: skip
    assert came == []
    assert len(begun) == 1
    assert pause.in_flight == [begun[0].id], "nobody answers for it, so it may have begun"
