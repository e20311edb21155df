"""Under skip, queue and replace two executions of a timer never run at once, whoever made them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, words_of
from tests.support.serial_timers import SERIAL, finish, rate, running
from timers.domain.execution_id import parse
from timers.exceptions import InvalidRequest, NotAllowedNow
from timers.executions import replay_execution, retry_failed
from timers.models import Attempt, Claim, Waiting
from timers.scheduling import (
    cancel_timer,
    fire_timer,
    pause_timer,
    schedule_fixed_delay,
    schedule_fixed_rate,
    schedule_once,
    update_timer,
)
from timers.testing import START, Stepper, VirtualTime


@pytest.fixture(autouse=True)
def _noop(handlers: TemporaryHandlers) -> None:
    pass


def origins() -> list[str]:
    """Of all that is claimed."""
    return [parse(str(each)).origin for claim in Claim.objects.order_by("id") for each in claim.executions]


def test_a_manual_run_is_refused_under_skip_while_an_execution_runs(time: VirtualTime, node: Stepper) -> None:
    rate("skip")
    execution = running(node)
    with pytest.raises(NotAllowedNow, match=f"{execution.id} has not ended, and the overlap policy is skip"):
        fire_timer("work", "t")
    finish(node)
    fire_timer("work", "t")
    assert [outcome.word for outcome in node.until_idle()] == ["succeeded"]


def test_a_manual_run_queues_under_queue_until_the_execution_has_ended(time: VirtualTime, node: Stepper) -> None:
    timer = rate("queue")
    running(node)
    manual = fire_timer("work", "t")
    assert node.claim() == []
    assert Waiting.objects.get().state == "queued"
    finish(node)
    assert [execution.id for execution in node.claim()] == [manual]
    finish(node)
    assert words_of(timer) == ["succeeded", "succeeded"]
    timer.refresh_from_db()
    assert timer.open_execution is None


def test_a_manual_run_is_refused_where_the_queue_is_full(time: VirtualTime, node: Stepper) -> None:
    rate("queue")
    running(node)
    fire_timer("work", "t")
    with pytest.raises(NotAllowedNow, match="max_queued is 1"):
        fire_timer("work", "t")


def test_a_manual_run_replaces_what_runs_under_replace(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = rate("replace")
    running(node)
    fire_timer("work", "t")
    assert node.claim() == []
    node.until_idle()
    assert {row.origin: row.outcome for row in finals_of(timer)} == {"schedule": "cancelled", "manual": "succeeded"}


def test_a_manual_run_under_allow_runs_at_once(time: VirtualTime, node: Stepper) -> None:
    rate("allow")
    running(node)
    fire_timer("work", "t")
    assert len(node.claim()) == 1


@pytest.mark.parametrize("policy", SERIAL)
def test_a_manual_run_that_may_overlap_runs_at_once(time: VirtualTime, node: Stepper, policy: str) -> None:
    timer = rate(policy)
    running(node)
    fire_timer("work", "t", overlap="allow")
    assert len(node.claim()) == 1
    assert sorted(origins()) == ["manual", "schedule"]
    finish(node)
    assert words_of(timer) == ["succeeded", "succeeded"]


def test_the_overlap_of_a_run_replaces_the_policy_of_the_timer(time: VirtualTime, node: Stepper) -> None:
    rate("allow")
    running(node)
    with pytest.raises(NotAllowedNow):
        fire_timer("work", "t", overlap="skip")
    with pytest.raises(InvalidRequest, match="overlap"):
        fire_timer("work", "t", overlap="never")


@pytest.mark.parametrize("policy", SERIAL)
def test_a_scheduled_fire_meets_a_manual_run_as_it_meets_any_execution(
    time: VirtualTime, node: Stepper, policy: str
) -> None:
    timer = rate(policy)
    time.advance(59)
    fire_timer("work", "t")
    (manual,) = node.claim()
    time.advance(1)
    assert node.claim() == []
    node.until_idle()
    ends = {row.origin: row.outcome for row in finals_of(timer)}
    manual_end = {"skip": "succeeded", "queue": "succeeded", "replace": "cancelled"}[policy]
    assert ends == {"manual": manual_end, "schedule": "skipped" if policy == "skip" else "succeeded"}
    assert manual.id


@pytest.mark.parametrize("policy", SERIAL)
def test_a_manual_run_that_is_ready_when_a_scheduled_fire_comes_runs_after_it(
    time: VirtualTime, node: Stepper, policy: str
) -> None:
    timer = rate(policy)
    fire_timer("work", "t", delay=60)
    time.advance(60)
    seen = []
    while came := node.claim() or node.held:
        assert len(node.held) == 1
        seen.append(came[0].origin)
        finish(node)
    assert sorted(seen) == ["manual", "schedule"] if policy != "skip" else seen[0] in ("manual", "schedule")
    assert "failed" not in words_of(timer)


@pytest.mark.parametrize("policy", SERIAL)
def test_two_manual_runs_never_run_at_once(time: VirtualTime, node: Stepper, policy: str) -> None:
    rate(policy)
    for _ in range(2):
        fire_timer("work", "t", delay=1)
    time.advance(1)
    assert len(node.claim()) == 1
    finish(node)
    assert len(node.claim()) == 1
    finish(node)
    assert Attempt.objects.filter(outcome="succeeded").count() == 2


@pytest.mark.parametrize("policy", SERIAL)
def test_a_manual_run_of_a_one_shot_waits_for_the_one_shot(time: VirtualTime, node: Stepper, policy: str) -> None:
    factories.group("work", overlap_policy=policy)
    timer = schedule_once("work", "t", after=10)
    fire_timer("work", "t", delay=10)
    fired: list[str] = []
    time.advance(10)
    for _ in range(4):
        fired += [execution.origin for execution in node.claim()]
        assert len(node.held) <= 1
        finish(node)
        time.advance(1)
    assert sorted(fired) == ["manual", "schedule"]
    assert words_of(timer) == ["succeeded", "succeeded"]


def test_a_one_shot_whose_instant_comes_during_a_manual_run_runs_after_it(time: VirtualTime, node: Stepper) -> None:
    factories.group("work", overlap_policy="skip")
    timer = schedule_once("work", "t", after=10)
    fire_timer("work", "t")
    assert len(node.claim()) == 1
    time.advance(10)
    assert node.claim() == []
    finish(node)
    assert [execution.origin for execution in node.claim()] == ["schedule"]
    finish(node)
    timer.refresh_from_db()
    assert (timer.state, timer.open_execution, timer.fire_count) == ("finished", None, 1)


@pytest.mark.parametrize("policy", ["skip", "queue"])
def test_a_manual_run_of_a_one_shot_under_way_is_refused_or_waits(
    time: VirtualTime, node: Stepper, policy: str
) -> None:
    factories.group("work", overlap_policy=policy)
    schedule_once("work", "t", after=1)
    running(node, 1)
    if policy == "skip":
        with pytest.raises(NotAllowedNow):
            fire_timer("work", "t")
        return
    fire_timer("work", "t")
    assert node.claim() == []
    finish(node)
    time.advance(1)
    assert [execution.origin for execution in node.claim()] == ["manual"]


@pytest.mark.parametrize("policy", SERIAL)
def test_a_replay_obeys_the_overlap_policy(time: VirtualTime, node: Stepper, policy: str) -> None:
    rate(policy)
    first = running(node)
    finish(node)
    running(node)
    if policy == "skip":
        with pytest.raises(NotAllowedNow):
            replay_execution(first.id)
    else:
        replay_execution(first.id)
        assert node.claim() == []
    replay_execution(first.id, overlap="allow")
    assert len(node.claim()) == 1


@pytest.mark.parametrize("policy", SERIAL)
def test_a_persons_retry_waits_for_what_runs(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers, policy: str
) -> None:
    timer = rate(policy, retry={"max_retries": 0})
    handlers.script("tests.noop", ValueError("down"), None)
    failed = running(node)
    finish(node)
    running(node)
    retry_failed(failed.id)
    assert node.claim() == []
    assert Waiting.objects.get(id=failed.id).state == "queued"
    finish(node)
    assert [execution.id for execution in node.claim()] == [failed.id]
    finish(node)
    assert words_of(timer) == ["error", "succeeded", "succeeded"]


@pytest.mark.parametrize("policy", SERIAL)
def test_persons_retries_run_one_after_the_other(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers, policy: str
) -> None:
    rate(policy, retry={"max_retries": 0})
    handlers.script("tests.noop", *[ValueError("down")] * 3, None)
    failed = []
    for _ in range(3):
        failed.append(running(node).id)
        finish(node)
    pause_timer("work", "t")
    for execution in failed:
        retry_failed(execution)
    done = []
    while node.claim():
        assert len(node.held) == 1
        done.append(node.held[0].id)
        finish(node)
    assert done == failed


@pytest.mark.parametrize("policy", SERIAL)
@pytest.mark.parametrize("kind", ["rate", "once"])
def test_a_timer_scheduled_anew_waits_for_what_runs_of_the_old_one(
    time: VirtualTime, node: Stepper, policy: str, kind: str
) -> None:
    timer = rate(policy)
    running(node)
    node.run()
    if kind == "rate":
        schedule_fixed_rate("work", "t", period=5, on_conflict="replace")
    else:
        schedule_once("work", "t", after=5, on_conflict="replace")
    time.advance(5)
    assert node.claim() == []
    node.finish()
    node.until_idle()
    assert words_of(timer) == ["succeeded", "skipped" if (policy, kind) == ("skip", "rate") else "succeeded"]


def test_a_finished_timer_that_is_given_a_new_schedule_waits_for_its_last_run(time: VirtualTime, node: Stepper) -> None:
    factories.group("work", overlap_policy="skip")
    schedule_fixed_rate("work", "t", period=5, max_fires=1)
    running(node, 5)
    node.run()
    update_timer("work", "t", period=3, max_fires=10)
    time.advance(3)
    assert node.claim() == []
    assert node.skipped == 1


def test_a_delay_counts_from_the_end_of_its_own_run_and_not_of_a_manual_one(time: VirtualTime, node: Stepper) -> None:
    factories.group("work", overlap_policy="queue")
    timer = schedule_fixed_delay("work", "t", delay=10)
    time.advance(8)
    fire_timer("work", "t")
    node.claim()
    time.advance(4)
    assert node.claim() == []
    finish(node)
    assert len(node.claim()) == 1
    finish(node)
    timer.refresh_from_db()
    assert timer.next_fire_at == START + timedelta(seconds=22)


def test_what_is_never_committed_is_not_finished_by_a_manual_run(time: VirtualTime, node: Stepper) -> None:
    factories.group("work")
    timer = schedule_fixed_rate("work", "t", period=10, until_committed=True)
    fire_timer("work", "t")
    node.until_idle()
    timer.refresh_from_db()
    assert (timer.state, timer.open_execution) == ("active", None)


def test_a_cancelled_timer_drops_a_manual_run_that_queues(time: VirtualTime, node: Stepper) -> None:
    rate("queue")
    running(node)
    node.run()
    fire_timer("work", "t")
    assert cancel_timer("work", "t").cancelled == 1


def test_a_manual_run_keeps_its_turn_when_its_node_dies(time: VirtualTime, node: Stepper) -> None:
    timer = rate("skip")
    fire_timer("work", "t")
    node.claim()
    other = Stepper(time)
    other.rescue(node)
    assert len(other.claim()) == 1
    time.advance(60)
    assert other.claim() == []
    finish(other)
    timer.refresh_from_db()
    assert timer.open_execution is None
    assert other.skipped == 1
