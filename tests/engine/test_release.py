from __future__ import annotations

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import rows_of, words_of
from tests.support.sessions import OtherSession
from timers import clock
from timers.engine.fence import revoke
from timers.engine.release import release
from timers.models import Claim, Timer, TimerGroup, Waiting
from timers.scheduling import cancel_timer, schedule_fixed_rate, schedule_once
from timers.testing import Stepper, VirtualTime


def test_what_was_not_begun_is_given_back_at_its_own_instant_with_its_try(
    group: TimerGroup, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    node = Stepper(time, look_ahead=1.5)
    timer = schedule_fixed_rate("work", "rate", period=10)
    node.time.advance(9)
    (execution,) = node.claim()
    assert node.release() == 1
    row = Waiting.objects.get()
    assert (str(row.id), row.attempt, row.state) == (execution.id, 0, "ready")
    timer.refresh_from_db()
    assert row.available_at == timer.last_fire_at
    assert not Claim.objects.exists()
    other = Stepper(time)
    assert other.until_idle() == []
    time.advance(1)
    other.until_idle()
    assert [(fire.number_of_try, fire.node) for fire in handlers.calls] == [(1, other.holder.node)]
    assert words_of(timer) == ["succeeded"]


def test_giving_back_again_and_again_takes_nothing_from_the_retries(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", ValueError("down"), None)
    timer = schedule_once("work", "once", after=1, overrides={"retry": {"max_retries": 1}})
    node.time.advance(1)
    node.until_idle()
    node.time.advance(120)
    for _ in range(5):
        assert len(node.claim()) == 1
        assert node.release() == 1
    node.until_idle()
    assert words_of(timer) == ["error", "succeeded"]


def test_a_release_after_a_rescue_is_refused(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    schedule_once("work", "once", after=1)
    node.time.advance(1)
    node.claim()
    Stepper(time).rescue(node)
    assert node.release() == 0
    assert Waiting.objects.count() == 1
    assert release(node.holder, [], time.us).given_back == 0


def test_a_part_of_a_claim_is_given_back_and_the_rest_stays(group: TimerGroup, node: Stepper) -> None:
    for number in range(3):
        schedule_once("work", f"{number}", after=1)
    node.time.advance(1)
    first, *rest = node.claim()
    assert release(node.holder, [first], node.time.us).given_back == 1
    assert sorted(map(str, Claim.objects.get().executions)) == sorted(execution.id for execution in rest)
    node.held = rest
    node.run()
    assert len(node.finish().verdicts) == 2


def test_what_was_not_begun_of_a_cancelled_timer_ends_as_cancelled(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_once("work", "once", after=1)
    node.time.advance(1)
    (execution,) = node.claim()
    cancel_timer("work", "once")
    assert release(node.holder, [execution], node.time.us).given_back == 0
    assert release(node.holder, [execution], node.time.us).given_back == 0
    (row,) = rows_of(timer)
    assert (row.outcome, row.started_at, row.reason) == ("cancelled", None, "the timer was cancelled; it had not begun")
    assert str(row.id) == execution.id
    assert not Claim.objects.exists()


@pytest.mark.usefixtures("committed")
def test_what_is_asked_to_end_is_left_while_someone_has_its_timer_locked(handlers: TemporaryHandlers) -> None:
    factories.group("work")
    time = VirtualTime(clock.now())
    node = Stepper(time, look_ahead=2.0)
    timer = schedule_fixed_rate("work", "rate", period=1)
    (execution,) = node.claim()
    revoke([execution.id], execution.group.id)
    with OtherSession() as session:
        session.begin()
        session.run(lambda: Timer.objects.select_for_update(no_key=True).get(id=timer.id))
        assert release(node.holder, [execution], time.us) == (0, (execution,))
        session.rollback()
    assert release(node.holder, [execution], time.us) == (0, ())
    assert not Claim.objects.exists()
    assert words_of(timer) == ["cancelled"]
