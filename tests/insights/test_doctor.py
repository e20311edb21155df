"""Planted faults, each found by its check; and a healthy system in which nothing is."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from tests import factories
from timers import clock
from timers.domain.execution_id import execution_id, try_id
from timers.engine import partitions
from timers.insights.doctor import Report, examine
from timers.insights.doctor.database import judged
from timers.models import Attempt, Claim, Node, Timer, ZoneRules
from timers.schedules.instant import to_microseconds

pytestmark = pytest.mark.django_db


def found(report: Report) -> set[str]:
    return {finding.check for finding in report.findings if finding.severity != "info"}


def examined() -> set[str]:
    """What is wrong, but for what a throw-away server without fsync is told anyway."""
    return found(examine(clock.now())) - {"unsafe_settings"}


@pytest.fixture(autouse=True)
def healthy() -> None:
    """A node that serves everything, a timer that is not due, the partitions of the coming days."""
    partitions.create_ahead(clock.now().date(), 7)
    factories.node("serving", crash_lock=False)
    factories.timer("at rest")


def fired(*, ago: float = 600, **fields: Any) -> Timer:
    """A timer that has fired so many seconds ago; nothing else knows of it."""
    timer = factories.timer(last_fire_at=clock.now() - timedelta(seconds=ago), fire_count=1, **fields)
    timer.refresh_from_db()
    return timer


def last_execution(timer: Timer, ordinal: int = 0) -> str:
    assert timer.last_fire_at is not None
    return execution_id(to_microseconds(timer.last_fire_at), timer.id, ordinal=ordinal)


def a_node_that_polls_less_often_than_this_process() -> str:
    factories.node("slow", settings={"TIMERS_POLL_INTERVAL": 10.0})
    return "drift"


def two_nodes_with_different_keys() -> str:
    for number in range(2):
        factories.node(settings={"TIMERS_ENCRYPTION_KEYS": f"digest {number}"})
    return "drift"


def a_handler_that_only_one_of_two_nodes_knows() -> str:
    factories.node(handlers=["tests.noop", "tests.other"])
    return "drift"


def overdue_and_nobody_fires() -> str:
    factories.timer(due_in=-7200)
    return "overdue_timers"


def a_group_that_no_node_serves() -> str:
    factories.timer(in_group=factories.group(required_roles=["gpu"]), due_in=-7200)
    return "unserved_groups"


def a_partition_with_a_timer_and_no_node() -> str:
    factories.timer(in_group=factories.group(partition="reports"))
    return "unserved_groups"


def machines_that_share_a_host_name() -> str:
    for machine in ("one", "two"):
        factories.node(machine=machine)
    return "cluster_concerns"


def a_retry_that_nobody_takes() -> str:
    factories.waiting(factories.timer(), "ready", ago=7200)
    return "overdue_ready"


def a_handler_that_no_node_knows() -> str:
    factories.timer(in_group=factories.group(action={"handler": "nobody.knows"}))
    return "unknown_handlers"


def a_dead_node_that_holds_executions() -> str:
    dead = factories.node(state="dead", beat_ago=3600, ended_at=clock.now() - timedelta(hours=1))
    factories.claim(dead, factories.timer(), claimed_at=clock.now() - timedelta(hours=1))
    return "claims_of_the_dead"


def an_execution_in_two_places() -> str:
    timer = factories.timer()
    claim = factories.claim(factories.node(), timer)
    factories.waiting(timer, "ready", ago=-60, id=claim.executions[0])
    return "in_two_places"


def a_finished_execution_that_is_held() -> str:
    timer = factories.timer()
    claim = factories.claim(factories.node(), timer)
    factories.attempt(timer, id=claim.executions[0])
    return "finished_but_held"


def a_timer_that_waits_for_nothing() -> str:
    factories.timer(open_execution=uuid.uuid4())
    return "open_in_no_place"


def hold(timer: Timer, origin: str) -> str:
    """Have an execution of that origin claimed; returns its id."""
    execution = execution_id(to_microseconds(clock.now()), timer.id, origin)
    claim = factories.claim(factories.node(), timer)
    Claim.objects.filter(id=claim.id).update(executions=[execution])
    return execution


def a_queue_behind_nothing() -> str:
    factories.waiting(factories.timer(), "queued", origin="schedule")
    return "queued_behind_nothing"


def a_queue_behind_what_has_failed() -> str:
    timer = factories.timer()
    factories.waiting(timer, "failed", ago=90)
    factories.waiting(timer, "queued")
    return "queued_behind_nothing"


def a_backfill_behind_a_scheduled_fire() -> str:
    timer = factories.timer()
    factories.waiting(timer, "ready", ago=-60)
    factories.waiting(timer, "queued", origin="backfill")
    return "queued_behind_nothing"


def a_queue_behind_a_manual_run() -> str:
    timer = factories.timer()
    hold(timer, "manual")
    factories.waiting(timer, "queued")
    return "queued_behind_nothing"


def a_clock_that_is_wrong() -> str:
    factories.node(clock_offset=3.5)
    return "cluster_concerns"


def a_day_without_its_partition() -> str:
    tomorrow = clock.now().date() + timedelta(days=1)
    with connection.cursor() as cursor:
        cursor.execute(f'DROP TABLE "timers_attempt_{tomorrow:%Y%m%d}"')
    return "missing_partitions"


def nodes_of_two_editions() -> str:
    factories.node(zone_rules="2025b")
    factories.node(zone_rules="2026a")
    return "differing_zone_rules"


def a_node_that_is_older_than_what_was_applied() -> str:
    ZoneRules.objects.create(edition="2026a", applied_at=clock.now())
    factories.node(zone_rules="2025b")
    return "differing_zone_rules"


def a_subscription_whose_handler_no_node_knows() -> str:
    factories.subscription(action={"handler": "nobody.knows"})
    return "unknown_handlers"


def a_subscription_that_nobody_consumes() -> str:
    row = factories.subscription(action={"kind": "pull"})
    factories.waiting(factories.timer(in_group=row.group), "ready", ago=7200, subscription=row.ordinal)
    return "waiting_for_consumers"


def a_message_that_no_consumer_claims() -> str:
    factories.timer(in_group=factories.group(action={"kind": "pull"}), due_in=-3700)
    return "unclaimed_messages"


def a_retry_that_no_consumer_claims() -> str:
    timer = factories.timer(in_group=factories.group(action={"kind": "pull"}))
    factories.waiting(timer, "ready", ago=3700)
    return "unclaimed_messages"


def a_one_shot_whose_outcome_is_gone() -> str:
    fired(schedule_kind="once", state="finished", next_fire_at=None)
    return "fired_without_a_trace"


def a_recurring_timer_whose_last_outcome_is_gone() -> str:
    fired()
    return "fired_without_a_trace"


def a_subscription_that_was_spoilt_by_hand() -> str:
    factories.subscription(filter={"nonsense": 1})
    return "unreadable_subscriptions"


def a_timer_without_the_key_that_its_group_limits_by() -> str:
    group = factories.group(concurrency_key="payload.tenant", max_concurrency_per_key=2)
    factories.timer(in_group=group, limit_key="")
    return "timers_without_key"


FAULTS: list[Callable[[], str]] = [
    a_timer_without_the_key_that_its_group_limits_by,
    overdue_and_nobody_fires,
    a_group_that_no_node_serves,
    a_retry_that_nobody_takes,
    a_handler_that_no_node_knows,
    a_dead_node_that_holds_executions,
    an_execution_in_two_places,
    a_finished_execution_that_is_held,
    a_timer_that_waits_for_nothing,
    a_queue_behind_nothing,
    a_queue_behind_what_has_failed,
    a_backfill_behind_a_scheduled_fire,
    a_queue_behind_a_manual_run,
    a_subscription_whose_handler_no_node_knows,
    a_subscription_that_nobody_consumes,
    a_subscription_that_was_spoilt_by_hand,
    a_message_that_no_consumer_claims,
    a_retry_that_no_consumer_claims,
    a_one_shot_whose_outcome_is_gone,
    a_recurring_timer_whose_last_outcome_is_gone,
    a_clock_that_is_wrong,
    a_day_without_its_partition,
    nodes_of_two_editions,
    a_node_that_is_older_than_what_was_applied,
    a_node_that_polls_less_often_than_this_process,
    two_nodes_with_different_keys,
]


def test_a_timer_that_waits_for_a_limit_is_named_with_it() -> None:
    group = factories.group("limited", max_concurrency=1)
    running = factories.timer(in_group=group)
    factories.claim(Node.objects.get(), running)
    factories.timer(in_group=group, due_in=-600)
    factories.waiting(running, "ready", ago=600)
    findings = [finding for finding in examine(clock.now()).findings if finding.check.startswith("overdue")]
    assert {(finding.check, finding.severity) for finding in findings} == {
        ("overdue_timers", "warning"),
        ("overdue_ready", "warning"),
    }
    assert all("at its limit" in finding.what for finding in findings)
    assert {row["at_limit"] for finding in findings for row in finding.evidence} == {"max_concurrency"}


def test_a_healthy_system_has_no_finding() -> None:
    assert examined() == set()


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found(plant: Callable[[], str]) -> None:
    assert plant() in examined()


def test_a_queue_that_moves_is_well() -> None:
    claimed, retried, filled = (factories.timer() for _ in range(3))
    Timer.objects.filter(id=claimed.id).update(open_execution=hold(claimed, "schedule"))
    Timer.objects.filter(id=retried.id).update(open_execution=factories.waiting(retried, "ready", ago=-60).id)
    hold(filled, "backfill")
    for timer, origin in ((claimed, "schedule"), (retried, "schedule"), (filled, "backfill")):
        factories.waiting(timer, "queued", origin=origin)
    assert examined() == set()


def test_a_message_that_waits_for_less_than_an_hour_or_is_held_is_well() -> None:
    group = factories.group(action={"kind": "pull"})
    factories.timer(in_group=group, due_in=-3500)
    held = factories.timer(in_group=group, due_in=-7200)
    Timer.objects.filter(id=held.id).update(open_execution=hold(held, "schedule"))
    assert examined() == set()


def test_a_message_of_a_paused_group_is_missed_by_nobody() -> None:
    factories.timer(in_group=factories.group(action={"kind": "pull"}, state="paused"), due_in=-7200)
    assert examined() == set()


def test_a_fire_that_is_claimed_waits_or_has_its_outcome_has_left_a_trace() -> None:
    claimed, parked, ended, shared = fired(), fired(), fired(), fired()
    factories.claim(Node.objects.get(), claimed, executions=0)
    Claim.objects.update(executions=[last_execution(claimed)])
    factories.waiting(parked, "failed", id=last_execution(parked))
    factories.attempt(ended, "succeeded", id=last_execution(ended))
    factories.attempt(shared, "succeeded", id=last_execution(shared, ordinal=3))
    assert examined() == set()


def test_a_try_alone_is_no_outcome() -> None:
    tried = fired()
    factories.attempt(tried, "error", id=try_id(last_execution(tried), 1))
    assert "fired_without_a_trace" in examined()


def test_a_fire_of_which_history_is_no_longer_kept_is_well() -> None:
    fired(ago=86_400 * 31)
    fired(ago=86_400 * 3, in_group=factories.group(retention=2))
    assert examined() == set()


def test_a_failed_execution_is_told_and_is_nothing_wrong() -> None:
    factories.waiting(factories.timer(), "failed")
    report = examine(clock.now())
    assert "waiting_for_a_person" in {finding.check for finding in report.findings}
    assert "waiting_for_a_person" not in found(report)


def test_nodes_with_older_time_zone_rules_are_named_and_what_to_do() -> None:
    ZoneRules.objects.create(edition="2026b", applied_at=clock.now())
    for name, edition in (("behind", "2026a"), ("far behind", "2025b"), ("newest", "2026b")):
        factories.node(name, zone_rules=edition)
    factories.node("gone", zone_rules="2024a", beat_ago=3600)
    (finding,) = [one for one in examine(clock.now()).findings if one.check == "differing_zone_rules"]
    assert "older than 2026b: behind (2026a), far behind (2025b)." in finding.what
    assert "tzdata" in finding.remedy


def test_nodes_of_one_edition_are_well() -> None:
    ZoneRules.objects.create(edition="2026b", applied_at=clock.now())
    factories.node(zone_rules="2026b")
    assert "differing_zone_rules" not in examined()


def test_what_can_lose_commits_is_an_error() -> None:
    safe = {
        "fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "autovacuum": "on", "track_counts": "on",
        "virtual_now": "", "server_version_num": "180006",
    }  # fmt: skip
    assert [finding.what for finding in judged(safe)] == []
    assert any("fsync" in finding.what for finding in judged({**safe, "fsync": "off"}))


def test_no_finding_shows_more_than_ten_rows() -> None:
    for _ in range(12):
        factories.timer(due_in=-7200)
    assert all(len(finding.evidence) <= 10 for finding in examine(clock.now()).findings)
    assert Timer.objects.count() == 13
    assert Attempt.objects.count() == 0


def test_what_waits_for_consumers_or_for_a_resume_is_no_workers_fault() -> None:
    group = factories.group(worker_ordinals=[0])
    pulled = factories.subscription(in_group=group, action={"kind": "pull"})
    paused = factories.subscription(in_group=group, state="paused")
    for row in (pulled, paused):
        factories.waiting(factories.timer(in_group=group), "ready", ago=600, subscription=row.ordinal)
    assert examined() == set()


def test_an_occurrence_is_open_while_an_execution_of_one_subscription_lives() -> None:
    row = factories.subscription(in_group=factories.group(worker_ordinals=[0, 1]))
    timer = factories.timer(in_group=row.group)
    at = to_microseconds(clock.now())
    Timer.objects.filter(id=timer.id).update(open_execution=execution_id(at, timer.id))
    assert "open_in_no_place" in examined()
    factories.waiting(timer, "ready", ago=-60, id=execution_id(at, timer.id, "schedule", 1), subscription=1)
    assert examined() == set()


def test_a_declared_timer_without_an_owner_is_told_and_is_no_fault() -> None:
    factories.timer("nightly", source="code")
    factories.timer("rate", source="code", owner="shop")
    (finding,) = [each for each in examine(clock.now()).findings if each.check == "ownerless_declared_timers"]
    assert (finding.severity, [row["timer"] for row in finding.evidence]) == ("info", ["nightly"])


@pytest.mark.parametrize("of", ["group", "timer"])
def test_overdue_timers_that_wait_for_their_handler_are_named_with_the_reason(db: None, of: str) -> None:
    coming = {"handler": "tests.coming"}
    group = factories.group(**({"action": coming} if of == "group" else {}))
    factories.timer("t", in_group=group, due_in=-7200, action=coming if of == "timer" else None)
    factories.node(handlers=["tests.noop"])
    findings = {each.check: each.what for each in examine(clock.now()).findings}
    assert "they wait for a node that knows their handler" in findings["overdue_timers"]
    assert "tests.coming. Their timers wait." in findings["unknown_handlers"]
