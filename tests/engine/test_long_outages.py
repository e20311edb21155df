"""Ten years in which nobody fired: the ledger is what the policies say, and no lock is held for long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.schedules.work_counter import MOST_WHILE_LOCKED, counted
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of
from timers.control import change as change_module
from timers.control import create as create_module
from timers.control.redefine import lock_living
from timers.domain.policies import MISFIRE_POLICIES
from timers.engine import due_timer
from timers.engine import fire as fire_module
from timers.engine.consume import claim
from timers.engine.take_within import Work
from timers.models import Attempt, Timer, TimerGroup
from timers.schedules import shortest_interval
from timers.schedules.limited import Memory, Uncomputed
from timers.scheduling import (
    create_calendar,
    pause_timer,
    resume_timer,
    schedule_cron,
    schedule_many,
    skip_next_fire,
    update_group,
    update_timer,
)
from timers.testing import START, Stepper, VirtualTime

TEN_YEARS = timedelta(days=3_652)
OVERRIDES = {"exclusion_calendars": ["weekend", "night"], "max_catchup": 60}
TAKE = fire_module.Batch.take


@pytest.fixture(autouse=True)
def _calendars(group: TimerGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due_timer, "_COSTLY", Memory())
    create_calendar("weekend", rules=[{"weekdays": ["sat", "sun"]}])
    create_calendar("night", rules=[{"cron": "0 22 * * *", "duration": "PT4H"}], time_zone="America/New_York")


@pytest.fixture
def lines_under_lock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lines that the schedules ran for each decision about a locked row."""
    lines: list[int] = []

    def counting(self: fire_module.Batch, *args: Any, **options: Any) -> Work | None:
        number, left = counted(lambda: TAKE(self, *args, **options))
        lines.append(number)
        return left

    monkeypatch.setattr(fire_module.Batch, "take", counting)
    return lines


@pytest.mark.parametrize("on_excluded", ["suppress", "before", "after"])
@pytest.mark.parametrize("misfire_policy", MISFIRE_POLICIES)
def test_ledger_is_that_of_one_decision_however_long_it_takes(
    node: Stepper,
    handlers: TemporaryHandlers,
    lines_under_lock: list[int],
    misfire_policy: str,
    on_excluded: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policies = {"misfire_policy": misfire_policy, "on_excluded": on_excluded}
    timer = schedule_cron("work", "at-once", expression="*/10 * * * *", overrides={**OVERRIDES, **policies})
    other = schedule_cron("work", "in-passes", expression="*/10 * * * *", overrides={**OVERRIDES, **policies})
    for name in ("at-once", "in-passes"):
        pause_timer("work", name)
    node.time.advance(TEN_YEARS.total_seconds())

    resume_timer("work", "in-passes")
    node.until_idle()
    assert len(lines_under_lock) > 1
    assert max(lines_under_lock) < MOST_WHILE_LOCKED

    with monkeypatch.context() as unlimited:
        unlimited.setattr(fire_module.Batch, "take", TAKE)
        unlimited.setattr(due_timer, "limited", lambda schedule, memory: schedule)
        resume_timer("work", "at-once")
        node.until_idle()
    rows, expected = (
        [(row.scheduled_for, row.outcome, row.reason, row.missed_count) for row in finals_of(each)]
        for each in (other, timer)
    )
    assert rows == expected
    total = sum(1 + missed for _, _, _, missed in rows)
    assert total >= TEN_YEARS // timedelta(minutes=10)


def test_pulled_timer_is_claimed_in_the_first_look_after_ten_years(time: VirtualTime, group: TimerGroup) -> None:
    update_group("work", action={"kind": "pull"})
    schedule_cron("work", "pulled", expression="* * * * *", overrides=OVERRIDES)
    time.advance(TEN_YEARS.total_seconds())
    (message,) = claim("work", "consumer")
    assert message.envelope["MissedCount"] > 1_000_000


def lines_of(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[int]:
    """The lines that the schedules run in each call of a function of the module, that is a transaction."""
    lines: list[int] = []
    called = getattr(module, name)

    def counting(*args: Any, **options: Any) -> Any:
        error: list[Uncomputed] = []

        def work() -> Any:
            try:
                return called(*args, **options)
            except Uncomputed as raised:
                error.append(raised)

        number, result = counted(work)
        lines.append(number)
        if error:
            raise error[0]
        return result

    monkeypatch.setattr(module, name, counting)
    return lines


def test_edit_after_ten_years_records_what_it_gives_up(
    time: VirtualTime, group: TimerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    timer = schedule_cron("work", "edited", expression="* * * * *", overrides={**OVERRIDES, "on_excluded": "after"})
    time.advance(TEN_YEARS.total_seconds())
    lines = lines_of(monkeypatch, change_module, "_update")
    update_timer("work", "edited", expression="5 * * * *")
    assert len(lines) > 1
    assert max(lines) < MOST_WHILE_LOCKED
    (given_up,) = finals_of(timer)
    assert given_up.reason == "edited"
    assert given_up.missed_count > 1_000_000


def test_replacing_many_timers_after_ten_years_computes_little_under_the_locks(
    time: VirtualTime, group: TimerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def requests(minute: int) -> list[dict[str, Any]]:
        return [
            {
                "kind": "cron",
                "group": "work",
                "name": f"timer-{number}",
                "expression": f"{number + minute} * * * *",
                "overrides": OVERRIDES,
            }
            for number in range(6)
        ]

    schedule_many(requests(0))
    time.advance(TEN_YEARS.total_seconds())
    lines = lines_of(monkeypatch, create_module, "_creating")
    schedule_many(requests(30), on_conflict="replace")
    assert len(lines) == 2
    assert max(lines) < MOST_WHILE_LOCKED
    assert Attempt.objects.filter(reason="edited").count() == 6


def test_skip_after_ten_years_leaves_out_the_first_fire(time: VirtualTime, group: TimerGroup) -> None:
    schedule_cron("work", "skipped", expression="* * * * *", overrides=OVERRIDES)
    time.advance(TEN_YEARS.total_seconds())
    skipped, _ = skip_next_fire("work", "skipped")
    assert skipped == START


def test_changes_look_at_the_intervals_of_a_schedule_before_they_lock(
    time: VirtualTime, group: TimerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    update_group("work", min_interval=10)
    schedule_cron("work", "edited", expression="* * * * *")
    locked: list[bool] = []
    lock, look = change_module.lock_timer, shortest_interval._shortest

    def noting_lock(*args: Any) -> Timer:
        locked.append(True)
        return lock(*args)

    def noting_look(*args: Any) -> timedelta | None:
        assert not locked
        return look(*args)

    monkeypatch.setattr(change_module, "lock_timer", noting_lock)
    monkeypatch.setattr(create_module, "lock_living", lambda *args: locked.append(True) or lock_living(*args))
    monkeypatch.setattr(shortest_interval, "_shortest", noting_look)
    update_timer("work", "edited", expression="0/15 0-7 * * * *")
    locked.clear()
    schedule_cron("work", "edited", expression="0/20 0-8 * * * *", on_conflict="replace")
    assert locked
