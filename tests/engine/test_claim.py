from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, rows_of, words_of
from timers.engine.claim import claim_ready
from timers.engine.execution import ServedGroup
from timers.models import Claim, Timer, TimerGroup, Waiting
from timers.scheduling import cancel_timer, fire_timer, schedule_fixed_rate, schedule_once
from timers.testing import START, Stepper, VirtualTime


def test_a_ready_execution_is_claimed_at_its_instant_with_the_next_try(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", ValueError("down"), None)
    timer = schedule_once("work", "once", after=1, payload={"n": 2**70})
    node.time.advance(1)
    node.until_idle()
    first_fence = handlers.calls[0].fence
    assert Waiting.objects.get().available_at == START + timedelta(seconds=121)
    node.time.advance(119.999999)
    assert node.claim() == []
    node.time.advance(0.000001)
    (execution,) = node.claim()
    assert execution.attempt == 2
    assert execution.fence > first_fence
    assert execution.payload == {"n": 2**70}
    assert not Waiting.objects.exists()
    node.run()
    node.finish()
    assert words_of(timer) == ["error", "succeeded"]
    assert finals_of(timer)[0].attempt == 2


def test_ready_work_is_claimed_ahead_like_a_timer(group: TimerGroup, time: VirtualTime) -> None:
    node = Stepper(time, look_ahead=1.5)
    schedule_fixed_rate("work", "rate", period=1000)
    fire_timer("work", "rate", delay=10)
    node.time.advance(8.5)
    assert len(node.claim()) == 1
    assert node.run() == []
    node.time.advance(1.5)
    assert len(node.run()) == 1


def test_the_twin_obeys_its_limit_and_takes_the_oldest_first(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_fixed_rate("work", "rate", period=1000)
    ids = [fire_timer("work", "rate", delay=delay, overlap="allow") for delay in (3, 1, 2)]
    node.time.advance(10)
    assert [execution.id for execution in node.claim(limit=2)] == [ids[1], ids[2]]
    assert [execution.id for execution in node.claim(limit=2)] == [ids[0]]
    assert timer.id


def test_the_twins_number_of_statements_is_the_same_whatever_the_batch(group: TimerGroup, node: Stepper) -> None:
    def statements(number: int) -> int:
        timer = schedule_once("work", f"for-{number}", after=10_000)
        for ago in range(number):
            factories.waiting(timer, "ready", ago=ago + 1)
        with CaptureQueriesContext(connection) as queries:
            claimed = claim_ready(
                node.holder, ServedGroup.of(group), now_us=node.time.us, horizon_us=node.time.us, limit=1000
            )
        assert len(claimed) == number
        return len(queries)

    assert statements(3) == statements(60) <= 6


def test_an_execution_whose_timer_was_cancelled_while_it_was_tried_gets_no_other_try(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", ValueError("down"))
    timer = schedule_fixed_rate("work", "rate", period=10)
    node.time.advance(10)
    (execution,) = node.claim()
    node.run()
    assert cancel_timer("work", "rate").in_flight == [execution.id]
    node.finish()
    node.time.advance(1000)
    assert node.until_idle() == []
    (row,) = rows_of(timer)
    assert (row.outcome, row.reason, row.error_title) == (
        "cancelled",
        "the timer was cancelled; it ended with an error",
        "ValueError: down",
    )
    assert not Waiting.objects.exists()
    assert not Claim.objects.exists()


def test_what_waits_for_a_deleted_timer_is_cancelled(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_fixed_rate("work", "rate", period=1000)
    fire_timer("work", "rate")
    Timer.objects.filter(id=timer.id).delete()
    assert node.until_idle() == []
    assert words_of(timer.id) == ["cancelled"]
    assert not Waiting.objects.exists()


def test_failed_rows_are_not_claimed(group: TimerGroup, node: Stepper) -> None:
    factories.waiting(factories.timer(in_group=group), "failed", ago=100)
    assert node.claim() == []


def test_what_needs_a_handler_that_only_other_nodes_know_waits_for_them(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.new")
    schedule_once("work", "other", after=1000, handler="tests.new")
    schedule_once("work", "own", after=1000)
    for name in ("other", "own"):
        fire_timer("work", name)
    assert [execution.name for execution in node.claim(leave=["tests.new"])] == ["own"]
    assert [execution.name for execution in node.claim()] == ["other"]


@pytest.mark.parametrize("payload", [{"another": "one"}, None, [], "", 0, False])
def test_a_run_with_a_payload_of_its_own_keeps_it_through_a_retry(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers, payload: object
) -> None:
    handlers.script("tests.noop", ValueError("down"), None)
    schedule_fixed_rate("work", "rate", period=100_000, payload={"the": "timer's"})
    fire_timer("work", "rate", payload=payload)
    node.until_idle()
    node.time.advance(120)
    node.until_idle()
    assert [(fire.number_of_try, fire.payload, fire.origin) for fire in handlers.calls] == [
        (1, payload, "manual"),
        (2, payload, "manual"),
    ]


def test_the_claim_row_tells_what_a_rescue_must_know(group: TimerGroup, node: Stepper) -> None:
    schedule_fixed_rate("work", "rate", period=1000)
    id_ = fire_timer("work", "rate", payload=[1], delay=5)
    node.time.advance(5)
    node.claim()
    details = Claim.objects.get().details[id_]
    assert details == {
        "tried": 0,
        "forgiven": 0,
        "missed_count": 0,
        "origin": "manual",
        "available_us": node.time.us,
        "payload": "[1]",
    }
