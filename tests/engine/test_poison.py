"""Rows that no face would have written: each fails alone, and nothing else notices."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, words_of
from timers.models import Claim, Timer, TimerGroup, Waiting
from timers.scheduling import schedule_fixed_rate, schedule_many, schedule_once
from timers.testing import Stepper, VirtualTime


def write(column: str, text: str, cast: str = "") -> Callable[[Timer], None]:
    def spoil(timer: Timer) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE timers_timer SET {column} = %s{cast} WHERE id = %s", (text, timer.id))

    return spoil


POISONS = {
    "a number beyond Python": (write("payload", '{"a":1e131071}', "::json"), "out of range"),
    "nesting of 5,000": (write("payload", "[" * 5000 + "]" * 5000, "::json"), "nested too deeply"),
    "an unknown zone": (write("time_zone", "Europe/Berlim"), "Europe/Berlim"),
    "an action that is none": (write("action", '{"kind":"telepathy"}', "::json"), "telepathy"),
    "overrides that make no sense": (write("overrides", '{"retry": 5}', "::json"), "retry"),
    "overrides beyond Python": (write("overrides", "[" * 5000 + "]" * 5000, "::json"), ""),
}
SCHEDULE_POISONS = {
    "a schedule that is none": (write("schedule", '{"period":"often"}', "::json"), "anchor"),
    "a schedule beyond Python": (write("schedule", "[" * 5000 + "]" * 5000, "::json"), "schedule"),
    "an unknown kind": (write("schedule_kind", "lunar"), "lunar"),
}


@pytest.mark.parametrize("what", POISONS)
def test_a_poison_one_shot_fails_for_good_with_its_reason(group: TimerGroup, node: Stepper, what: str) -> None:
    spoil, reason = POISONS[what]
    timer = schedule_once("work", "poison", after=1)
    spoil(timer)
    node.time.advance(1)
    node.until_idle()
    waiting = Waiting.objects.get(timer_id=timer.id)
    assert waiting.state == "failed"
    assert reason in waiting.error_title
    assert words_of(timer) == ["error"]
    assert not Claim.objects.exists()


@pytest.mark.parametrize("what", [*POISONS, *SCHEDULE_POISONS])
def test_a_poison_recurring_timer_fails_with_its_reason_and_never_stops_the_loop(
    group: TimerGroup, node: Stepper, what: str
) -> None:
    spoil, reason = (POISONS | SCHEDULE_POISONS)[what]
    timer = schedule_fixed_rate("work", "poison", period=10)
    spoil(timer)
    good = schedule_fixed_rate("work", "good", period=10)
    node.play(seconds=30, every=10)
    assert [row.outcome for row in finals_of(good)] == ["succeeded"] * 3
    failed = Waiting.objects.filter(timer_id=timer.id)
    assert failed
    assert all(row.state == "failed" and reason in row.error_title for row in failed)
    assert not Claim.objects.exists()


@pytest.mark.parametrize("what", SCHEDULE_POISONS)
def test_a_timer_whose_instants_cannot_be_computed_waits_for_a_person(
    group: TimerGroup, node: Stepper, what: str
) -> None:
    spoil, reason = SCHEDULE_POISONS[what]
    timer = schedule_fixed_rate("work", "poison", period=10)
    spoil(timer)
    node.play(seconds=30, every=10)
    state, why = Timer.objects.values_list("state", "state_reason").get(id=timer.id)
    assert state == "paused"
    assert reason in why
    assert Waiting.objects.filter(timer_id=timer.id).count() == 1


def test_a_timer_whose_handler_nobody_has_waits_for_it_without_an_attempt(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.gone")
    timer = schedule_once("work", "orphan", after=1, handler="tests.gone", overrides={"retry": {"max_retries": 2}})
    handlers.forget()
    handlers.add("tests.noop")
    node.play(seconds=600, every=30)
    timer.refresh_from_db()
    assert (timer.state, timer.fire_count, words_of(timer)) == ("active", 0, [])
    handlers.add("tests.gone")
    node.until_idle()
    assert words_of(timer) == ["succeeded"]


def test_ten_poison_rows_among_990_good_timers_of_one_batch_fail_alone(
    time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    factories.group("work", retry={"max_retries": 0})
    handlers.add("tests.gone")
    base = {"kind": "once", "group": "work", "after": 1}
    schedule_many([base | {"name": f"good-{number}"} for number in range(990)])
    spoils = [spoil for spoil, _ in POISONS.values()]
    spoils.append(write("action", '{"kind":"unknown"}', "::json"))
    for number, spoil in enumerate(spoils):
        spoil(schedule_once("work", f"poison-{number}", after=1))
    for number, (spoil, _) in enumerate(SCHEDULE_POISONS.values()):
        spoil(schedule_fixed_rate("work", f"poison-rate-{number}", period=1))
    time.advance(1)
    node = Stepper(time)
    assert len(node.claim()) == 1000
    node.run()
    finished = node.finish()
    assert sum(verdict.next == "end" for _, verdict in finished.verdicts) == 990
    assert {fire.name for fire in handlers.calls} == {f"good-{number}" for number in range(990)}
    assert Waiting.objects.filter(state="failed", name__startswith="poison-").exclude(error_title="").count() == 10
    assert Waiting.objects.count() == 10
    assert not Claim.objects.exists()


def test_a_failed_poison_row_keeps_its_payload_for_a_person(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_fixed_rate("work", "poison", period=10)
    write("payload", '{"a":1e131071}', "::json")(timer)
    node.time.advance(10)
    node.until_idle()
    with connection.cursor() as cursor:
        cursor.execute("SELECT payload::text FROM timers_waiting WHERE timer_id = %s", (timer.id,))
        assert cursor.fetchone() == ('{"a":1e131071}',)


@pytest.mark.parametrize("what", POISONS)
def test_a_row_that_was_spoilt_before_its_retry_fails_alone(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers, what: str
) -> None:
    spoil, reason = POISONS[what]
    handlers.script("tests.noop", ValueError("down"))
    timer, good = (schedule_once("work", name, after=1) for name in ("poison", "good"))
    node.time.advance(1)
    node.until_idle()
    spoil(timer)
    handlers.add("tests.noop")
    node.time.advance(120)
    node.until_idle()
    assert words_of(good) == ["error", "succeeded"]
    waiting = Waiting.objects.get()
    assert (waiting.timer_id, waiting.state) == (timer.id, "failed")
    assert reason in waiting.error_title


@pytest.mark.parametrize("column", ["retry", "action"])
def test_a_group_whose_columns_were_spoilt_still_runs_what_can_be_run(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers, column: str
) -> None:
    timer = schedule_once("work", "own", after=1, handler="tests.noop")
    factories.spoil(group, column)
    node.time.advance(1)
    node.until_idle()
    assert words_of(timer) == ["succeeded"]
