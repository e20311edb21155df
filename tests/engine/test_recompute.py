"""Next instants computed anew: which timers move, and which fires are never repeated or lost.

A next_fire_at that the present rules do not give stands for one that was computed by older ones.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.support.sessions import OtherSession
from timers.engine import recompute as recompute_module
from timers.engine.recompute import new_instants, recompute, write_instants
from timers.models import Attempt, Timer, TimerGroup
from timers.scheduling import (
    fire_timer,
    get_timer,
    pause_timer,
    schedule_cron,
    schedule_fixed_delay,
    skip_next_fire,
)
from timers.testing import START, Stepper, VirtualTime

HOUR = timedelta(hours=1)
NIGHT = START + timedelta(hours=13, minutes=30)  # 02:30 in Berlin

pytestmark = pytest.mark.usefixtures("group")


def nightly(name: str = "nightly", **more: Any) -> Timer:
    return schedule_cron("work", name, expression="30 2 * * *", time_zone="Europe/Berlin", **more)


def as_older_rules_had_it(name: str = "nightly", by: timedelta = HOUR) -> None:
    timer = get_timer("work", name)
    assert timer.next_fire_at is not None
    Timer.objects.filter(id=timer.id).update(next_fire_at=timer.next_fire_at + by)


def next_of(name: str = "nightly") -> Any:
    return get_timer("work", name).next_fire_at


def moved() -> tuple[int, int]:
    done = recompute(Timer.objects.all())
    return done.moved, done.seen


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_an_instant_that_the_rules_do_not_give_is_moved_to_one_that_they_give(by: timedelta) -> None:
    nightly()
    as_older_rules_had_it(by=by)
    assert moved() == (1, 1)
    assert next_of() == NIGHT
    assert moved() == (0, 1)


def test_what_was_moved_is_counted_and_the_first_are_named() -> None:
    for number in range(8):
        nightly(f"n{number}")
        as_older_rules_had_it(f"n{number}")
    nightly("right")
    words = recompute(Timer.objects.all(), batch=3).words
    assert words == "8 of 9 timers moved (work/n0, work/n1, work/n2, work/n3, work/n4, ...)"


def test_timers_that_changed_meanwhile_are_computed_again_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recompute_module, "COMPUTED_LOCKED", 2)
    for number in range(5):
        nightly(f"n{number}")
        as_older_rules_had_it(f"n{number}")
    computed = new_instants(Timer.objects.all())
    for number in range(5):
        as_older_rules_had_it(f"n{number}")
    assert write_instants(computed).moved == 5
    assert {next_of(f"n{number}") for number in range(5)} == {NIGHT}


def test_a_timer_keeps_its_share_of_the_jitter() -> None:
    nightly(jitter=3600)
    before = next_of()
    as_older_rules_had_it()
    assert moved() == (1, 1)
    assert next_of() == before


def test_an_instant_that_is_to_come_by_its_jitter_is_not_lost(time: VirtualTime) -> None:
    nightly(jitter=3600)
    due = next_of()
    time.set(due - timedelta(seconds=1))
    assert time.now > NIGHT
    assert moved() == (0, 1)
    assert next_of() == due


def test_what_is_due_fires_as_it_was(time: VirtualTime, node: Stepper) -> None:
    nightly()
    as_older_rules_had_it(by=-HOUR)
    time.set(NIGHT - HOUR)
    assert moved() == (0, 1)
    assert len(node.until_idle()) == 1


def test_an_instant_that_has_been_fired_is_never_fired_again(time: VirtualTime) -> None:
    early = Stepper(time, look_ahead=60)
    nightly()
    time.set(NIGHT - timedelta(seconds=30))
    assert len(early.claim()) == 1  # fired ahead: the row's next is tomorrow's
    as_older_rules_had_it()
    assert moved() == (1, 1)
    assert next_of() == NIGHT + timedelta(days=1)


def test_a_fire_that_was_left_out_on_demand_stays_out() -> None:
    nightly()
    skip_next_fire("work", "nightly", actor="ann")
    assert moved() == (0, 1)
    as_older_rules_had_it()
    assert moved() == (1, 1)
    assert next_of() == NIGHT + timedelta(days=1)


def test_a_run_by_hand_stands_for_no_fire(node: Stepper) -> None:
    nightly()
    fire_timer("work", "nightly")
    node.until_idle()
    as_older_rules_had_it()
    moved()
    assert next_of() == NIGHT


def test_a_paused_timer_is_moved_and_stays_paused() -> None:
    nightly()
    as_older_rules_had_it()
    pause_timer("work", "nightly")
    assert moved() == (1, 1)
    assert (next_of(), get_timer("work", "nightly").state) == (NIGHT, "paused")


def test_bounds_hold() -> None:
    nightly("later", start_at=START + timedelta(days=3))
    nightly("over", end_at=NIGHT + timedelta(days=1))
    as_older_rules_had_it("later")
    Timer.objects.filter(name="over").update(
        next_fire_at=NIGHT + timedelta(hours=20), last_fire_at=NIGHT, end_at=NIGHT + timedelta(hours=21)
    )
    assert moved() == (2, 2)
    assert next_of("later") == NIGHT + timedelta(days=3)
    assert (next_of("over"), get_timer("work", "over").state) == (None, "finished")


def test_what_cannot_be_computed_is_left_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    schedule_fixed_delay("work", "delay", delay=60)
    nightly()
    nightly("spoilt")
    Timer.objects.filter(name="spoilt").update(schedule={"expression": "nonsense"})
    as_older_rules_had_it()
    assert moved() == (1, 2)
    assert "the next fire of timer work/spoilt cannot be computed" in caplog.text


def test_ended_timers_and_those_that_wait_for_an_end_are_left() -> None:
    nightly()
    Timer.objects.filter(name="nightly").update(next_fire_at=None, open_execution="0" * 32)
    factories.timer("ended", in_group=TimerGroup.objects.get(name="work"), state="finished", schedule_kind="cron")
    assert moved() == (0, 0)


def test_a_row_that_another_session_holds_is_waited_for(committed: None, time: VirtualTime) -> None:
    nightly()
    as_older_rules_had_it()
    with OtherSession(time.now) as holder, OtherSession(time.now) as other:
        holder.begin()
        holder.run(lambda: pause_timer("work", "nightly"))
        waiting = other.start(lambda: recompute(Timer.objects.all()).moved)
        other.waits_for_a_lock()
        holder.commit()
        assert waiting.result(timeout=20) == 1
    assert (next_of(), get_timer("work", "nightly").state) == (NIGHT, "paused")
    assert not Attempt.objects.exists()


def test_an_instant_that_waits_for_its_share_of_the_jitter_fires_as_it_was(
    group: TimerGroup, time: VirtualTime
) -> None:
    timer = schedule_cron("work", "spread", expression="0 13 * * *", jitter=600)
    time.set(START + HOUR + timedelta(seconds=1))
    held = get_timer("work", "spread").next_fire_at
    assert held is not None and held > time.now
    Timer.objects.filter(id=timer.id).update(schedule={**timer.schedule, "expression": "30 14 * * *"})
    assert recompute(Timer.objects.all()).moved == 0
    assert get_timer("work", "spread").next_fire_at == held
