"""Skipping the next fire: what is excluded is jumped over, and nothing is computed while the row is locked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.schedules.work_counter import counted
from tests.support.ledger_rows import rows_of
from timers.control import backfill as backfill_module
from timers.control import calendars as calendars_module
from timers.control import change as change_module
from timers.control import skip_next as skip_next_module
from timers.engine.recompute import new_instants
from timers.exceptions import NotAllowedNow, StaleVersion
from timers.models import Attempt, Timer, TimerGroup
from timers.scheduling import (
    backfill_timer,
    create_calendar,
    schedule_cron,
    schedule_fixed_rate,
    skip_next_fire,
    update_calendar,
    update_timer,
)
from timers.testing import START, Stepper, VirtualTime

WEEKEND = [{"weekdays": ["sat", "sun"]}]
SATURDAY = START + timedelta(days=5)
"""START is a Monday at noon (UTC)."""
MONDAY = datetime(2027, 3, 8, tzinfo=UTC)


@pytest.mark.parametrize("period", [1, 10])
@pytest.mark.parametrize("on_excluded", ["suppress", "after", "before"])
def test_skip_next_jumps_over_an_excluded_weekend(
    group: TimerGroup, time: VirtualTime, on_excluded: str, period: int
) -> None:
    create_calendar("weekend", rules=WEEKEND)
    time.advance((SATURDAY - START).total_seconds())
    overrides = {"exclusion_calendars": ["weekend"], "on_excluded": on_excluded}
    timer = schedule_fixed_rate("work", "often", period=period, overrides=overrides)
    lines, (skipped, following) = counted(lambda: skip_next_fire("work", "often"))
    assert lines < 100_000
    assert (skipped, following) == (MONDAY, MONDAY + timedelta(seconds=period))
    excluded = rows_of(timer)[0]
    assert excluded.missed_count == (MONDAY - SATURDAY) // timedelta(seconds=period) - 2
    assert str(excluded.reason).startswith("excluded by weekend: Sunday")


def test_skip_next_of_a_timer_that_is_always_excluded_says_until_when(group: TimerGroup, time: VirtualTime) -> None:
    create_calendar("half-hours", rules=[{"cron": "*/30 * * * *", "duration": "PT29M59S"}])
    schedule_cron("work", "never", expression="*/10 * * * *", overrides={"exclusion_calendars": ["half-hours"]})
    with pytest.raises(NotAllowedNow, match="its exclusion calendars exclude every instant before 2027-03-"):
        skip_next_fire("work", "never")


def test_skip_next_of_a_timer_whose_rest_is_excluded_says_so(group: TimerGroup, time: VirtualTime) -> None:
    create_calendar("weekend", rules=WEEKEND)
    time.advance((SATURDAY - START).total_seconds())
    schedule_fixed_rate(
        "work", "rest", period=60, end_at=MONDAY - timedelta(hours=1), overrides={"exclusion_calendars": ["weekend"]}
    )
    with pytest.raises(NotAllowedNow, match="exclude every instant that it has left"):
        skip_next_fire("work", "rest")


def interfere(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, meanwhile: Callable[[], Any]) -> list[int]:
    """Call `meanwhile` once, after the module has computed and before it locks."""
    calls: list[int] = []
    lock = module.lock_timer

    def lock_later(*args: Any) -> Timer:
        calls.append(1)
        if len(calls) == 1:
            meanwhile()
        found: Timer = lock(*args)
        return found

    monkeypatch.setattr(module, name, lock_later)
    return calls


def test_skip_next_computes_again_when_the_timer_was_changed_meanwhile(
    group: TimerGroup, time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    timer = schedule_fixed_rate("work", "rate", period=60)
    later = START + timedelta(seconds=600)
    moved = Timer.objects.filter(id=timer.id)
    calls = interfere(
        monkeypatch, skip_next_module, "lock_timer", lambda: moved.update(next_fire_at=later, last_fire_at=START)
    )
    skipped, following = skip_next_fire("work", "rate")
    assert (skipped, following) == (later, later + timedelta(seconds=60))
    assert len(calls) == 1


def test_skip_next_computes_nothing_while_the_row_is_locked(
    group: TimerGroup, time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_calendar("weekend", rules=WEEKEND)
    schedule_fixed_rate("work", "rate", period=60, overrides={"exclusion_calendars": ["weekend"]})
    lock = change_module.lock_timer

    def lock_and_forbid(*args: Any) -> Timer:
        found: Timer = lock(*args)
        monkeypatch.setattr(skip_next_module, "schedule_of", None)
        return found

    monkeypatch.setattr(skip_next_module, "lock_timer", lock_and_forbid)
    assert skip_next_fire("work", "rate")[0] == START + timedelta(seconds=60)


def note_calls(monkeypatch: pytest.MonkeyPatch, module: Any, *names: str) -> list[str]:
    """The names of these functions of the module, as they are called from now on."""
    calls: list[str] = []

    def noting(name: str, called: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            calls.append(name)
            return called(*args)

        return call

    for name in names:
        monkeypatch.setattr(module, name, noting(name, getattr(module, name)))
    return calls


def test_update_parses_a_new_schedule_before_it_locks(
    group: TimerGroup, time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_fixed_rate("work", "rate", period=60)
    calls = note_calls(monkeypatch, change_module, "lock_timer", "_parsed")
    update_timer("work", "rate", period=30)
    assert calls == ["_parsed", "lock_timer"]


def test_backfill_of_a_timer_that_was_changed_meanwhile_is_refused(
    group: TimerGroup, node: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_fixed_rate("work", "rate", period=60)
    node.time.advance(600)
    interfere(monkeypatch, backfill_module, "lock_timer", lambda: Timer.objects.update(version=7))
    with pytest.raises(StaleVersion, match="was changed while its occurrences were computed"):
        backfill_timer("work", "rate", start=START, end=START + timedelta(seconds=600))


def test_backfill_jumps_over_what_calendars_exclude(group: TimerGroup, time: VirtualTime) -> None:
    create_calendar("weekend", rules=WEEKEND)
    schedule_fixed_rate("work", "often", period=1, start_at=START, overrides={"exclusion_calendars": ["weekend"]})
    time.advance((MONDAY - START).total_seconds() + 60)
    friday = SATURDAY.replace(hour=0) - timedelta(seconds=10)
    lines, done = counted(lambda: backfill_timer("work", "often", start=friday, end=MONDAY + timedelta(seconds=10)))
    assert (done.executions, done.last) == (20, MONDAY + timedelta(seconds=9))
    assert lines < 100_000


def test_calendar_edit_computes_before_it_locks_the_groups(
    group: TimerGroup, time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_calendar("weekend", rules=WEEKEND)
    overrides = {"exclusion_calendars": ["weekend"], "on_excluded": "after"}
    timer = schedule_cron("work", "monthly", expression="0 9 6 * *", overrides=overrides)
    calls = note_calls(monkeypatch, calendars_module, "new_instants", "renew_groups")
    update_calendar("weekend", rules=[{"weekdays": ["sun"]}])
    assert calls == ["new_instants", "renew_groups"]
    timer.refresh_from_db()
    assert timer.next_fire_at == datetime(2027, 3, 6, 9, tzinfo=UTC)


def test_recompute_takes_a_timer_that_moved_meanwhile_as_it_is(group: TimerGroup, time: VirtualTime) -> None:
    from timers.engine.recompute import write_instants

    timer = schedule_cron("work", "daily", expression="0 9 * * *")
    wrong = START + timedelta(hours=1)
    Timer.objects.update(next_fire_at=wrong)
    computed = new_instants(Timer.objects.all())
    update_timer("work", "daily", expression="0 10 * * *")
    done = write_instants(computed)
    timer.refresh_from_db()
    assert (done.moved, timer.next_fire_at) == (0, datetime(2027, 3, 2, 10, tzinfo=UTC))
    assert not Attempt.objects.exists()
