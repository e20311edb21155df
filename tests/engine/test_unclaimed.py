"""Groups that are pulled, while no consumer claims: what must not run any more is recorded all the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.support.ledger_rows import rows_of
from timers.consuming import claim, commit
from timers.control.calendars import create_calendar
from timers.control.groups import pause_group
from timers.engine.unclaimed import UnclaimedTimers, skip_unclaimed
from timers.models import ClusterPause, Timer, TimerGroup, Waiting
from timers.scheduling import schedule_fixed_rate, schedule_once
from timers.testing import VirtualTime


def group(**policies: Any) -> TimerGroup:
    return factories.group("mail", action={"kind": "pull"}, **policies)


def housekeeping(passes: int = 10) -> None:
    timers = UnclaimedTimers()
    for _ in range(passes):
        if timers.step() is None:
            return


def skips(timer: Timer) -> list[tuple[str, int]]:
    return [(row.reason or "", row.missed_count) for row in rows_of(timer) if row.outcome == "skipped"]


def test_a_message_past_its_lateness_is_skipped_without_a_consumer(time: VirtualTime) -> None:
    group(max_lateness=1)
    timer = schedule_once("mail", "e1", after=0)
    time.advance(1)
    housekeeping()
    assert skips(timer) == []
    time.advance(1)
    housekeeping()
    assert skips(timer) == [("expired", 0)]
    timer.refresh_from_db()
    assert (timer.state, timer.next_fire_at) == ("finished", None)


def test_a_missed_message_is_skipped_without_a_consumer_when_the_policy_says_so(time: VirtualTime) -> None:
    group(misfire_policy="skip", misfire_grace=60)
    timer = schedule_fixed_rate("mail", "m", period=30, start_at=time.now)
    time.advance(61)
    housekeeping()
    assert [reason for reason, _ in skips(timer)] == ["misfire"]
    timer.refresh_from_db()
    assert timer.next_fire_at is not None and timer.next_fire_at > time.now


def test_an_excluded_instant_is_skipped_without_a_consumer(time: VirtualTime) -> None:
    create_calendar("free", rules=[{"dates": [f"{time.now:%Y-%m-%d}"]}])
    group(exclusion_calendars=["free"])
    timer = schedule_fixed_rate("mail", "m", period=60)
    time.advance(61)
    housekeeping()
    assert len(skips(timer)) == 1
    assert skips(timer)[0][0].startswith("excluded by free")


def test_an_overlap_is_recorded_while_a_consumer_holds_the_message_before(time: VirtualTime) -> None:
    group()
    timer = schedule_fixed_rate("mail", "m", period=60)
    time.advance(60)
    (message,) = claim("mail", "c", lease=3600)
    time.advance(60)
    housekeeping()
    assert [reason for reason, _ in skips(timer)] == ["overlap"]
    assert commit(message.execution, message.token).outcome == "succeeded"


def test_an_instant_that_queues_does_so_at_its_time_without_a_consumer(time: VirtualTime) -> None:
    group(overlap_policy="queue", max_queued=5)
    timer = schedule_fixed_rate("mail", "m", period=60)
    time.advance(60)
    claim("mail", "c", lease=3600)
    for _ in range(2):
        time.advance(60)
        housekeeping()
    assert Waiting.objects.filter(timer_id=timer.id, state="queued").count() == 2


def test_a_message_that_waits_for_its_consumer_is_left_as_it_is(time: VirtualTime) -> None:
    group()
    timer = schedule_fixed_rate("mail", "m", period=60)
    time.advance(3600)
    before = Timer.objects.filter(id=timer.id).values().get()
    housekeeping()
    assert Timer.objects.filter(id=timer.id).values().get() == before
    (message,) = claim("mail", "c")
    assert message.envelope["MissedCount"] == 59


def test_expired_instants_before_one_that_may_still_run_are_skipped_alone(time: VirtualTime) -> None:
    group(max_lateness=90)
    timer = schedule_fixed_rate("mail", "m", period=60)
    time.advance(60 * 10)
    housekeeping()
    assert skips(timer) == [("expired", 7)]
    timer.refresh_from_db()
    assert timer.next_fire_at == time.now - timedelta(seconds=60)
    housekeeping()
    assert skips(timer) == [("expired", 7)]
    assert len(claim("mail", "c")) == 1


def test_a_timers_own_override_is_obeyed_too(time: VirtualTime) -> None:
    group()
    kept, late = schedule_once("mail", "a", after=0), schedule_once("mail", "b", after=0, overrides={"max_lateness": 1})
    time.advance(5)
    housekeeping()
    assert (skips(kept), skips(late)) == ([], [("expired", 0)])


def test_what_waits_at_the_head_hides_nothing_behind_it(time: VirtualTime, monkeypatch: pytest.MonkeyPatch) -> None:
    create_calendar("free", rules=[{"dates": ["2001-01-01"]}])
    group(exclusion_calendars=["free"])
    for number in range(7):
        schedule_once("mail", f"a{number}", after=number % 2)
    late = schedule_once("mail", "z", after=2, overrides={"max_lateness": 1})
    time.advance(60)
    timers = UnclaimedTimers()
    monkeypatch.setitem(skip_unclaimed.__kwdefaults__, "limit", 3)
    for _ in range(3):
        timers.step()
    assert skips(late) == [("expired", 0)]


@pytest.mark.parametrize("paused", ["group", "cluster", "partition"])
def test_nothing_is_skipped_while_it_is_paused(time: VirtualTime, paused: str) -> None:
    group(max_lateness=1)
    timer = schedule_once("mail", "m", after=0)
    if paused == "group":
        pause_group("mail")
    else:
        ClusterPause.objects.create(at=time.now, partition="default" if paused == "partition" else "")
    time.advance(60)
    assert UnclaimedTimers().step() is None
    assert rows_of(timer) == []


def test_groups_that_workers_serve_are_left_to_them(time: VirtualTime) -> None:
    timer = factories.timer("m", due_in=-60, in_group=factories.group("reports", max_lateness=1))
    time.advance(60)
    assert UnclaimedTimers().step() is None
    assert rows_of(timer) == []


def test_a_row_that_cannot_be_read_is_left_for_its_consumer(time: VirtualTime) -> None:
    group(max_lateness=1)
    broken, late = (
        schedule_once("mail", "a", after=0, overrides={"max_lateness": 2}),
        schedule_once("mail", "b", after=0),
    )
    factories.spoil(broken, "overrides")
    time.advance(60)
    housekeeping()
    assert (rows_of(broken), skips(late)) == ([], [("expired", 0)])


def test_a_claim_of_one_comes_to_what_stands_behind_much_that_expired(time: VirtualTime) -> None:
    group(max_lateness=1)
    for number in range(300):
        schedule_once("mail", f"e{number}", after=0)
    time.advance(3)
    schedule_once("mail", "good", after=0)
    (message,) = claim("mail", "c", limit=1)
    assert message.envelope["Name"] == "good"


def test_a_claim_of_one_comes_to_what_stands_behind_a_row_that_cannot_be_read(time: VirtualTime) -> None:
    group()
    broken = schedule_once("mail", "a", after=0, payload={"n": 1})
    factories.spoil(broken, "payload")
    schedule_once("mail", "good", after=0)
    time.advance(1)
    (message,) = claim("mail", "c", limit=1)
    assert message.envelope["Name"] == "good"
    assert Waiting.objects.filter(timer_id=broken.id, state="failed").exists()


def test_a_claim_of_one_comes_to_what_stands_behind_cancelled_ones(time: VirtualTime) -> None:
    group()
    timers = [schedule_once("mail", f"a{number}", after=0) for number in range(3)]
    for timer in timers:
        factories.waiting(timer, state="ready", attempt=1)
    Timer.objects.filter(group__name="mail").update(state="cancelled", next_fire_at=None)
    schedule_once("mail", "good", after=0)
    time.advance(1)
    assert [each.envelope["Name"] for each in claim("mail", "c", limit=1)] == ["good"]
    assert not Waiting.objects.filter(state="ready").exists()
