"""A message that is shown again at each tick of its schedule until it is committed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import words_of
from timers.handlers import Discard
from timers.models import Timer, TimerGroup, Waiting
from timers.scheduling import schedule_cron, schedule_fixed_rate, schedule_once
from timers.testing import START, Stepper, VirtualTime


def held(**options: Any) -> Timer:
    return schedule_fixed_rate(
        "work", "message", period=60, payload="MyPayload", until_committed=True, start_at=START, **options
    )


def test_a_message_discarded_twice_is_shown_at_the_next_ticks_and_its_commit_finishes_the_timer(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", Discard("not yet"), Discard("not yet"), {"done": True})
    timer = held()
    node.play(seconds=600, every=1)
    assert [(fire.number_of_try, fire.fire_time - START, fire.payload) for fire in handlers.calls] == [
        (1, timedelta(seconds=1), "MyPayload"),
        (2, timedelta(seconds=60), "MyPayload"),
        (3, timedelta(seconds=120), "MyPayload"),
    ]
    assert {fire.scheduled_fire_time for fire in handlers.calls} == {START}
    assert words_of(timer) == ["discarded", "discarded", "succeeded"]
    timer.refresh_from_db()
    assert (timer.state, timer.open_execution, timer.next_fire_at, timer.fire_count) == ("finished", None, None, 1)
    assert not Waiting.objects.exists()


def test_while_a_message_is_held_the_timer_stays_active_without_a_next_instant(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", Discard())
    timer = held()
    node.play(seconds=1, every=1)
    timer.refresh_from_db()
    assert (timer.state, timer.next_fire_at) == ("active", None)
    assert str(timer.open_execution) == handlers.calls[0].execution_id


def test_max_retries_fails_the_message_and_finishes_the_timer(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", Discard("never"))
    timer = held(overrides={"retry": {"max_retries": 3}})
    node.play(seconds=600, every=10)
    assert words_of(timer) == ["discarded"] * 4
    timer.refresh_from_db()
    assert (timer.state, timer.last_outcome) == ("finished", "failed")
    assert Waiting.objects.get().state == "failed"


def test_an_error_is_retried_by_policy_and_not_by_the_tick(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", ValueError("down"), None)
    held()
    node.step()
    assert Waiting.objects.get().available_at == START + timedelta(seconds=120)


def test_a_one_shot_message_is_shown_again_by_policy(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", Discard(), Discard(), None)
    timer = schedule_once("work", "message", after=1, until_committed=True)
    node.play(seconds=600, every=1)
    assert [(fire.fire_time - START).total_seconds() for fire in handlers.calls] == [1, 121, 361]
    timer.refresh_from_db()
    assert (timer.state, timer.open_execution) == ("finished", None)


def test_a_cron_message_is_shown_again_at_the_next_instant_of_the_expression(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", Discard(), None)
    schedule_cron("work", "message", expression="0 9 * * MON", time_zone="Europe/Berlin", until_committed=True)
    node.play(seconds=15 * 86_400, every=3600)
    assert [fire.fire_time.isoformat() for fire in handlers.calls] == [
        "2027-03-08T09:00:00+01:00",
        "2027-03-15T09:00:00+01:00",
    ]


def test_a_message_survives_the_death_of_its_node(
    group: TimerGroup, node: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", Discard(), None)
    timer = held()
    node.step()
    node.time.advance(60)
    node.claim()
    other = Stepper(time)
    other.rescue(node)
    other.until_idle()
    assert words_of(timer) == ["discarded", "lost", "succeeded"]
    timer.refresh_from_db()
    assert (timer.state, timer.open_execution) == ("finished", None)
