from __future__ import annotations

from typing import Any

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, words_of
from timers.control.executions import (
    cancel_execution,
    cancel_waiting,
    dismiss_failed,
    replay_execution,
    retry_failed,
)
from timers.domain.execution_id import try_id
from timers.exceptions import InvalidRequest, NotAllowedNow, QuotaExceeded, TimerNotFound
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
    with pytest.raises(InvalidRequest, match="payload"):
        retry_failed(failed, payload=object())
    assert Waiting.objects.get().state == "failed"


def test_a_payload_beyond_the_quota_of_its_group_is_refused(failed: str) -> None:
    TimerGroup.objects.update(max_payload_bytes=10, version=2)
    with pytest.raises(QuotaExceeded, match="payload: is 13 bytes long"):
        retry_failed(failed, payload="a" * 11)
    assert Waiting.objects.get().state == "failed"


def test_only_a_failed_execution_can_be_retried(failed: str) -> None:
    retry_failed(failed)
    with pytest.raises(NotAllowedNow, match="is ready; only a failed one"):
        retry_failed(failed)
    with pytest.raises(TimerNotFound, match=r"there is no execution"):
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


def test_what_waits_or_has_failed_is_cancelled_for_good(failed: str) -> None:
    assert not cancel_execution(failed, actor="bob").in_flight
    (final,) = finals_of(Timer.objects.get())
    assert (final.outcome, final.reason) == ("cancelled", "cancelled by bob")
    with pytest.raises(NotAllowedNow, match="it has cancelled already"):
        cancel_execution(failed)


def test_what_has_begun_is_asked_to_end_and_its_timer_goes_on(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", ValueError("down"), None)
    timer = schedule_fixed_rate("work", "rate", period=10)
    node.time.advance(10)
    (execution,) = node.claim()
    node.run()
    assert cancel_execution(execution.id).in_flight
    node.finish()
    assert words_of(timer) == ["cancelled"]
    node.advance(10)
    assert words_of(timer) == ["cancelled", "succeeded"]


def test_what_is_claimed_and_has_not_begun_never_does(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    schedule_once("work", "once", after=0)
    (execution,) = node.claim()
    cancel_execution(execution.id)
    node.step()
    assert (handlers.calls, words_of(execution.timer_id)) == ([], ["cancelled"])


def test_an_execution_that_never_was_cannot_be_cancelled(failed: str) -> None:
    with pytest.raises(TimerNotFound, match="there is no execution"):
        cancel_execution(NOWHERE)
    with pytest.raises(InvalidRequest, match="no execution id"):
        cancel_execution("seven")
    with pytest.raises(InvalidRequest, match="id of one try"):
        cancel_execution(try_id(failed, 1))


def test_an_ended_execution_is_replayed_as_a_fresh_one_with_the_payload_that_its_timer_has_now(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = schedule_once("work", "once", after=0, payload={"n": 1})
    node.until_idle()
    (final,) = finals_of(timer)
    Timer.objects.update(payload={"n": 2})
    node.advance(60)
    replayed = replay_execution(str(final.id), actor="bob")
    assert Waiting.objects.get().reason == f"replay of {final.id} by bob"
    node.until_idle()
    fire = handlers.calls[-1]
    assert (fire.execution_id, fire.origin, fire.number_of_try, fire.payload) == (replayed, "replay", 1, {"n": 2})
    assert fire.scheduled_fire_time == node.time.now
    assert len(finals_of(timer)) == 2


def test_a_replay_can_have_another_payload_and_be_replayed_itself(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = schedule_once("work", "once", after=0, payload=1)
    node.until_idle()
    replayed = replay_execution(str(finals_of(timer)[0].id), payload=None)
    node.until_idle()
    for _ in range(20):  # all of one microsecond, for the clock stands still
        replay_execution(replayed, payload="again", overlap="allow")
    node.until_idle()
    assert [fire.payload for fire in handlers.calls] == [1, None, *["again"] * 20]


def test_only_what_has_ended_is_replayed(failed: str, node: Stepper) -> None:
    with pytest.raises(NotAllowedNow, match="has not ended; a failed one can be retried"):
        replay_execution(failed)
    with pytest.raises(TimerNotFound, match="the ledger knows no execution"):
        replay_execution(NOWHERE)
    dismiss_failed([failed])
    replay_execution(failed)
    Timer.objects.update(state="cancelled", next_fire_at=None)
    with pytest.raises(NotAllowedNow, match="is cancelled"):
        replay_execution(failed)
    Waiting.objects.all().delete()
    Timer.objects.all().delete()
    with pytest.raises(TimerNotFound, match="has been deleted"):
        replay_execution(failed)


def test_an_execution_of_a_cancelled_timer_keeps_its_place_rather_than_be_retried_in_vain(failed: str) -> None:
    Timer.objects.update(state="cancelled", next_fire_at=None)
    with pytest.raises(NotAllowedNow, match="cannot be retried: its timer is cancelled"):
        retry_failed(failed)
    assert Waiting.objects.get().state == "failed"
