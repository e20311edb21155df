from __future__ import annotations

from typing import Any

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, words_of
from timers.exceptions import NotAllowedNow, SpecError, TimerNotFound
from timers.lifecycle.control.executions import cancel_waiting, dismiss_failed, retry_failed
from timers.models import Timer, TimerGroup, Waiting
from timers.scheduling import schedule_fixed_rate, schedule_once
from timers.testing import Stepper, VirtualTime

NOWHERE = "01a400f6-3600-8000-8000-000000040000"


@pytest.fixture
def failed(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> str:
    """The execution of a one-shot with two tries that failed; its handler is well again."""
    handlers.script("tests.noop", ValueError("down"))
    schedule_once("work", "once", after=1, payload={"n": 1}, overrides={"retry": {"max_retries": 1}})
    node.play(seconds=130, every=1)
    handlers.add("tests.noop")
    return str(Waiting.objects.get(state="failed").id)


def test_a_failed_execution_can_be_retried_with_all_the_retries_of_its_policy(
    failed: str, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", ValueError("down"))
    retry_failed(failed, actor="bob")
    row = Waiting.objects.get()
    assert (row.state, row.reason, row.available_at) == ("ready", "retried by bob", node.time.now)
    node.play(seconds=130, every=1)
    assert [fire.number_of_try for fire in handlers.calls] == [1, 2, 3, 4]
    assert Waiting.objects.get().state == "failed"
    handlers.add("tests.noop")
    retry_failed(failed)
    node.until_idle()
    (final,) = finals_of(Timer.objects.get())
    assert (str(final.id), final.outcome, final.attempt) == (failed, "succeeded", 5)


@pytest.mark.parametrize("payload", [{"n": 2}, None, []])
def test_a_retry_can_have_another_payload(
    failed: str, node: Stepper, handlers: TemporaryHandlers, payload: Any
) -> None:
    retry_failed(failed, payload=payload)
    node.until_idle()
    assert handlers.calls[-1].payload == payload


def test_a_retry_without_a_payload_keeps_the_one_that_it_failed_with(
    failed: str, node: Stepper, handlers: TemporaryHandlers
) -> None:
    retry_failed(failed)
    node.until_idle()
    assert handlers.calls[-1].payload == {"n": 1}


def test_a_payload_that_is_none_is_refused_and_the_execution_stays_failed(failed: str) -> None:
    with pytest.raises(SpecError, match="payload"):
        retry_failed(failed, payload=object())
    assert Waiting.objects.get().state == "failed"


def test_only_a_failed_execution_can_be_retried(failed: str) -> None:
    retry_failed(failed)
    with pytest.raises(NotAllowedNow, match="is ready; only a failed one"):
        retry_failed(failed)
    with pytest.raises(TimerNotFound, match=r"no execution .* is waiting"):
        retry_failed(NOWHERE)


def test_nothing_is_retried_beyond_the_tries_that_an_id_has_room_for(failed: str) -> None:
    Waiting.objects.update(attempt=1000)
    with pytest.raises(NotAllowedNow, match="1000 tries"):
        retry_failed(failed)


def test_dismissing_is_the_final_word(failed: str, node: Stepper) -> None:
    assert dismiss_failed([failed], actor="bob") == 1
    assert dismiss_failed([failed]) == 0
    timer = Timer.objects.get()
    assert words_of(timer) == ["error", "error", "failed"]
    (final,) = finals_of(timer)
    assert (str(final.id), final.reason, final.attempt) == (failed, "dismissed by bob", 2)
    assert (final.error_title, final.scheduled_for) == ("ValueError: down", timer.last_fire_at)
    assert not Waiting.objects.exists()


def test_a_failed_execution_can_be_cancelled_too(failed: str) -> None:
    assert cancel_waiting([failed, NOWHERE], reason="no longer wanted") == 1
    (final,) = finals_of(Timer.objects.get())
    assert (final.outcome, final.reason) == ("cancelled", "no longer wanted")


def test_a_cancelled_retry_frees_its_timer_for_the_next_fire(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", ValueError("down"), None)
    timer = schedule_fixed_rate("work", "rate", period=10)
    node.time.advance(10)
    node.until_idle()
    row = Waiting.objects.get()
    cancel_waiting([str(row.id)])
    timer.refresh_from_db()
    assert (timer.open_execution, timer.last_outcome) == (None, "cancelled")
    node.time.advance(10)
    node.until_idle()
    assert words_of(timer) == ["error", "cancelled", "succeeded"]


def test_a_cancelled_message_finishes_its_timer(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.script("tests.noop", ValueError("down"))
    timer = schedule_fixed_rate("work", "message", period=10, until_committed=True)
    node.time.advance(10)
    node.until_idle()
    cancel_waiting([str(Waiting.objects.get().id)])
    timer.refresh_from_db()
    assert (timer.state, timer.open_execution) == ("finished", None)


def test_the_ledger_keeps_the_exact_instant_of_what_ended_while_it_waited(time: VirtualTime) -> None:
    time.advance(0.123456)
    timer = factories.timer()
    waiting = factories.waiting(timer, ago=60)
    dismiss_failed([str(waiting.id)])
    (final,) = finals_of(timer)
    assert final.scheduled_for == waiting.available_at
    assert final.scheduled_for.microsecond == 123456
