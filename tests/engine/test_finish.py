from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, rows_of, words_of
from timers.domain.execution_id import parse
from timers.engine.execution import Holder
from timers.engine.finish import finish
from timers.models import Attempt, Claim, Timer, TimerGroup, Waiting
from timers.scheduling import schedule_fixed_rate, schedule_once, update_timer
from timers.testing import Stepper, VirtualTime


def held_claims() -> list[int]:
    return [len(claim.executions) for claim in Claim.objects.order_by("id")]


def test_a_final_row_tells_the_whole_story(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    timer = schedule_once("work", "once", after=10)
    node.time.advance(10.5)
    (execution,) = node.claim()
    node.time.advance(0.25)

    def work(fire: object) -> dict[str, int]:
        node.time.advance(2)
        return {"rows": 7}

    handlers.add("tests.noop", work)
    node.run()
    node.finish()
    (row,) = rows_of(timer)
    assert str(row.id) == execution.id
    assert (row.group_id, row.timer_id, row.name, row.attempt, row.outcome) == (
        group.id,
        timer.id,
        "once",
        1,
        "succeeded",
    )
    assert (row.origin, row.node, row.worker, row.fence) == ("schedule", "node-a", 1, execution.fence)
    assert row.claimed_at is not None and row.started_at is not None
    moments = (row.claimed_at, row.started_at, row.finished_at)
    seconds = [(moment - row.scheduled_for).total_seconds() for moment in moments]
    assert seconds == [0.5, 0.75, 2.75]
    assert row.result == {"rows": 7}
    assert (row.reason, row.error_title, row.error_fingerprint, row.missed_count) == (None, None, None, 0)


@pytest.mark.parametrize(
    "result", [{"b": 1, "a": [None, True, 2**80, 1.5]}, "text \\ \" ' {},\n\t ☃", 0, False, [], ""]
)
def test_what_a_handler_returns_is_kept(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers, result: Any
) -> None:
    handlers.script("tests.noop", result)
    timer = schedule_once("work", "once", after=1)
    node.time.advance(1)
    node.until_idle()
    (row,) = rows_of(timer)
    assert row.result == result
    if isinstance(result, dict):
        assert list(row.result) == list(result)


@pytest.mark.parametrize(
    ("result", "why"), [(object(), "not JSON"), ("x" * 9000, "8,192 bytes"), (float("nan"), "nan"), ("\x00", "NUL")]
)
def test_a_result_that_cannot_be_kept_is_told_and_the_execution_succeeds(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers, result: Any, why: str
) -> None:
    handlers.script("tests.noop", result)
    timer = schedule_once("work", "once", after=1)
    node.time.advance(1)
    node.until_idle()
    (row,) = rows_of(timer)
    assert (row.outcome, row.result) == ("succeeded", None)
    assert why in str(row.reason)


def test_an_error_is_recorded_with_title_traceback_and_fingerprint(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", ValueError('no vendor "7" \\ {x}, NUL \x00 and half \ud800'))
    timer = schedule_once("work", "once", after=1)
    node.time.advance(1)
    node.until_idle()
    (row,) = rows_of(timer)
    assert row.outcome == "error"
    assert row.error_title == 'ValueError: no vendor "7" \\ {x}, NUL \\x00 and half \\ud800'
    assert "in next_end" in str(row.error_detail)
    assert len(str(row.error_fingerprint)) == 32
    waiting = Waiting.objects.get()
    assert (waiting.error_title, waiting.error_fingerprint) == (row.error_title, row.error_fingerprint)


def test_claims_shrink_by_what_is_finished_and_go_with_the_last(group: TimerGroup, node: Stepper) -> None:
    timers = [schedule_once("work", f"{number}", after=1) for number in range(5)]
    node.time.advance(1)
    node.claim()
    node.run()
    all_outcomes = node.outcomes
    left = {outcome.execution.id for outcome in all_outcomes}
    for part in (all_outcomes[:2], all_outcomes[2:4], all_outcomes[4:]):
        node.outcomes = part
        assert len(node.finish().verdicts) == len(part)
        left -= {outcome.execution.id for outcome in part}
        assert {str(id_) for claim in Claim.objects.all() for id_ in claim.executions} == left
    assert not Claim.objects.exists()
    assert [words_of(timer) for timer in timers] == [["succeeded"]] * 5


def test_one_batch_may_end_parts_of_several_claims(group: TimerGroup, node: Stepper) -> None:
    for number in range(9):
        schedule_once("work", f"{number}", after=1)
    node.time.advance(1)
    for _ in range(3):
        node.claim(limit=3)
    assert held_claims() == [3, 3, 3]
    node.run()
    node.outcomes = node.outcomes[:3] + node.outcomes[3:5] + node.outcomes[8:]
    node.finish()
    assert held_claims() == [1, 2]


def test_a_stale_finish_after_a_rescue_is_refused_and_changes_nothing(
    group: TimerGroup, node: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    timer = schedule_fixed_rate("work", "rate", period=1000)
    node.time.advance(1000)
    node.claim()
    stale = node.run()
    other = Stepper(time, "node-b")
    assert other.rescue(node).ready == 1
    (again,) = other.claim()
    assert again.id == stale[0].execution.id
    assert again.fence > stale[0].execution.fence
    refused = node.finish()
    assert (refused.verdicts, refused.refused) == ([], stale)
    assert words_of(timer) == ["lost"]
    timer.refresh_from_db()
    assert str(timer.open_execution) == again.id
    other.run()
    other.finish()
    assert words_of(timer) == ["lost", "succeeded"]
    assert finals_of(timer)[0].node == "node-b"


def test_a_stale_finish_of_one_execution_does_not_refuse_its_neighbours(group: TimerGroup, node: Stepper) -> None:
    for number in range(3):
        schedule_once("work", f"{number}", after=1)
    node.time.advance(1)
    lost, *_ = node.claim()
    claim = Claim.objects.get()
    claim.executions.remove(uuid.UUID(lost.id))
    claim.save()
    node.run()
    finished = node.finish()
    assert [outcome.execution.id for outcome in finished.refused] == [lost.id]
    assert len(finished.verdicts) == 2
    assert Attempt.objects.count() == 2
    assert not Claim.objects.exists()


def test_another_node_cannot_finish_a_claim(group: TimerGroup, node: Stepper) -> None:
    schedule_once("work", "once", after=1)
    node.time.advance(1)
    node.claim()
    outcomes = node.run()
    stranger = Holder(node.node.id + 1, "node-x", 1, 1)
    assert finish(stranger, outcomes, node.time.us).refused == outcomes
    assert held_claims() == [1]
    assert len(node.finish().verdicts) == 1


def test_a_repeat_after_a_commit_that_was_not_heard_of_is_harmless(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.fails", lambda fire: 1 / 0)
    good, bad = schedule_once("work", "good", after=1), schedule_once("work", "bad", after=1, handler="tests.fails")
    node.time.advance(1)
    node.claim()
    outcomes = node.run()
    node.finish()
    repeated = finish(node.holder, outcomes, node.time.us)
    assert repeated.refused == outcomes
    assert words_of(good) == ["succeeded"]
    assert words_of(bad) == ["error"]
    assert Waiting.objects.count() == 1


def test_the_database_itself_allows_one_final_outcome_only(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_once("work", "once", after=1)
    node.time.advance(1)
    (execution,) = node.claim()
    factories.attempt(timer, id=uuid.UUID(execution.id), outcome="skipped", scheduled_for=node.time.now)
    node.run()
    node.finish()
    assert words_of(timer) == ["skipped"]


def test_the_number_of_statements_is_the_same_whatever_the_batch(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.fails", lambda fire: 1 / 0)
    handlers.add("tests.tells", lambda fire: "told")

    def statements(number: int) -> int:
        for index in range(number):
            schedule_once("work", f"{number}-{index}-a", after=1)
            schedule_once("work", f"{number}-{index}-b", after=1, handler="tests.fails")
            schedule_fixed_rate("work", f"{number}-{index}-c", period=1000, handler="tests.tells")
        node.time.advance(1000)
        node.claim()
        node.run()
        with CaptureQueriesContext(connection) as queries:
            assert len(node.finish().verdicts) == 3 * number
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM timers_waiting; DELETE FROM timers_timer")
        return len(queries)

    assert statements(2) == statements(40) <= 10


def test_a_failed_execution_is_parked_with_its_payload(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work", retry={"max_retries": 0})
    handlers.script("tests.noop", ValueError("down"))
    once = schedule_once("work", "once", after=1, payload={"order": 7})
    rate = schedule_fixed_rate("work", "rate", period=1, payload={"order": 8})
    node.time.advance(1)
    node.until_idle()
    update_timer("work", "rate", payload={"order": "another"})
    for timer, order in ((once, 7), (rate, 8)):
        waiting = Waiting.objects.get(timer_id=timer.id)
        assert (waiting.state, waiting.attempt, waiting.error_title) == ("failed", 1, "ValueError: down")
        assert (waiting.payload or Timer.objects.get(id=timer.id).payload) == {"order": order}
        assert parse(str(waiting.id)).timer_id == timer.id


def test_a_failed_execution_is_dropped_where_the_policy_says_so(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work", retry={"max_retries": 0}, on_failed="drop")
    handlers.script("tests.noop", ValueError("down"))
    timer = schedule_fixed_rate("work", "rate", period=1)
    node.time.advance(1)
    node.until_idle()
    assert words_of(timer) == ["error", "failed"]
    assert finals_of(timer)[0].error_title == "ValueError: down"
    assert not Waiting.objects.exists()
    timer.refresh_from_db()
    assert (timer.last_outcome, timer.open_execution) == ("failed", None)


def test_a_finished_timer_is_deleted_where_the_policy_says_so_and_its_history_stays(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work", on_finish="delete")
    once = schedule_once("work", "once", after=1)
    rate = schedule_fixed_rate("work", "rate", period=1, max_fires=2)
    node.time.advance(1)
    node.until_idle()
    assert list(Timer.objects.values_list("name", flat=True)) == ["rate"]
    node.time.advance(1)
    node.until_idle()
    assert not Timer.objects.exists()
    assert (words_of(once), words_of(rate)) == (["succeeded"], ["succeeded", "succeeded"])


def test_a_timer_whose_execution_failed_is_not_deleted_while_a_person_must_decide(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work", on_finish="delete", retry={"max_retries": 0})
    handlers.script("tests.noop", ValueError("down"))
    schedule_once("work", "once", after=1)
    node.time.advance(1)
    node.until_idle()
    assert Timer.objects.get().state == "finished"
    assert Waiting.objects.get().state == "failed"


def test_an_execution_of_a_replaced_rule_moves_nothing_of_the_new_one(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_fixed_rate("work", "rate", period=10)
    node.time.advance(10)
    (execution,) = node.claim()
    node.run()
    schedule_fixed_rate("work", "rate", period=1000, on_conflict="replace")
    timer.refresh_from_db()
    before = (timer.next_fire_at, timer.open_execution, timer.state)
    node.finish()
    timer.refresh_from_db()
    assert (timer.next_fire_at, timer.state) == (before[0], before[2])
    assert (timer.open_execution, before[1]) == (None, UUID(execution.id))
    assert words_of(timer) == ["succeeded"]


def test_a_replaced_rules_execution_stays_open_for_the_new_one(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_fixed_rate("work", "rate", period=10)
    node.time.advance(10)
    (old,) = node.claim()
    node.run()
    schedule_fixed_rate("work", "rate", period=5, on_conflict="replace")
    node.time.advance(5)
    assert node.claim() == []
    timer.refresh_from_db()
    assert str(timer.open_execution) == old.id
    node.finish()
    timer.refresh_from_db()
    assert (timer.open_execution, timer.last_outcome) == (None, "succeeded")
