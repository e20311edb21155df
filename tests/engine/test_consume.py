"""Consumers: they pull from a group, commit, discard, extend, and lose what they do not end in time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.support.ledger_rows import finals_of, rows_of, words_of
from timers.consuming import Message, claim, commit, discard, extend
from timers.control.calendars import create_calendar
from timers.control.delete import delete_group
from timers.control.groups import pause_group
from timers.engine.rescue import rescue_expired
from timers.exceptions import InvalidRequest, NotAllowedNow, StaleToken, TimerNotFound
from timers.executions import cancel_execution
from timers.models import Claim, Timer, TimerGroup, Waiting
from timers.scheduling import cancel_timer, schedule_cron, schedule_fixed_rate, schedule_once
from timers.testing import Stepper, VirtualTime


@pytest.fixture
def pulled(time: VirtualTime) -> TimerGroup:
    """A group whose executions consumers pull."""
    return factories.group("mail", action={"kind": "pull"})


def one(**more: Any) -> Message:
    (message,) = claim("mail", "sender", **more)
    return message


def test_what_is_due_is_fired_by_the_claim_and_gone_with_the_commit(pulled: TimerGroup, time: VirtualTime) -> None:
    timer = schedule_once("mail", "m", after=5, payload={"to": "someone"})
    assert claim("mail", "sender") == []
    time.advance(5)
    message = one()
    assert message.envelope["Payload"] == {"to": "someone"}
    assert (message.envelope["Name"], message.envelope["NumberOfTry"]) == ("m", 1)
    assert message.envelope["Node"] == "consumer sender"
    assert claim("mail", "another") == [], "it is held"
    time.advance(2)
    assert commit(message.execution, message.token, result={"sent": 1}).outcome == "succeeded"
    (row,) = rows_of(timer)
    assert (row.outcome, row.node, row.worker, row.result) == ("succeeded", "consumer sender", None, {"sent": 1})
    assert row.finished_at - row.started_at == timedelta(seconds=2)
    assert not Claim.objects.exists()


def test_a_message_held_until_committed_is_shown_again_at_each_tick(pulled: TimerGroup, time: VirtualTime) -> None:
    timer = schedule_fixed_rate("mail", "m", period=60, until_committed=True, payload=1)
    tries = []
    for end in (discard, discard, commit):
        time.advance(60)
        message = one()
        tries.append(message.envelope["NumberOfTry"])
        end(message.execution, message.token)
    assert tries == [1, 2, 3]
    timer.refresh_from_db()
    assert timer.state == "finished"
    assert words_of(timer) == ["discarded", "discarded", "succeeded"]


def test_without_a_commit_it_fails_after_the_waits_of_the_policy(pulled: TimerGroup, time: VirtualTime) -> None:
    schedule_once("mail", "m", after=0, payload={"keep": "me"})
    waits = []
    for _ in range(6):
        message = one()
        discard(message.execution, message.token)
        row = Waiting.objects.get()
        waits.append((row.available_at - time.now).total_seconds())
        time.set(max(row.available_at, time.now))
    assert waits[:5] == [120, 240, 480, 600, 600]
    assert Waiting.objects.get().state == "failed"
    assert Timer.objects.get().payload == {"keep": "me"}


def test_a_delay_goes_before_the_policy(pulled: TimerGroup, time: VirtualTime) -> None:
    schedule_once("mail", "m", after=0)
    message = one()
    discard(message.execution, message.token, delay=7, reason="busy")
    row = Waiting.objects.get()
    assert (row.available_at - time.now, row.reason) == (timedelta(seconds=7), "busy")


def test_what_is_not_ended_in_time_is_shown_again_and_the_old_token_is_refused(
    pulled: TimerGroup, time: VirtualTime
) -> None:
    timer = schedule_once("mail", "m", after=0)
    old = one(lease=10)
    time.advance(9)
    assert claim("mail", "another") == []
    time.advance(1)
    (new,) = claim("mail", "another")
    assert (new.execution, new.envelope["NumberOfTry"]) == (old.execution, 2)
    assert new.envelope["Fence"] > old.envelope["Fence"]
    for end in (commit, discard, extend):
        with pytest.raises(StaleToken):
            end(old.execution, old.token)
    commit(new.execution, new.token)
    assert [(row.outcome, row.reason) for row in rows_of(timer)] == [
        ("lost", "the consumer's lease ended"),
        ("succeeded", None),
    ]


def test_a_lease_that_has_ended_but_nobody_else_took_can_still_be_committed(
    pulled: TimerGroup, time: VirtualTime
) -> None:
    schedule_once("mail", "m", after=0)
    message = one(lease=10)
    time.advance(60)
    assert commit(message.execution, message.token).outcome == "succeeded"


def test_a_lease_is_extended_for_all_that_was_claimed_with_it(pulled: TimerGroup, time: VirtualTime) -> None:
    for number in range(3):
        schedule_once("mail", f"{number}", after=0)
    messages = claim("mail", "sender", limit=3, lease=10)
    time.advance(8)
    assert extend(messages[0].execution, messages[0].token, lease=30).expires_at == time.now + timedelta(seconds=30)
    time.advance(20)
    assert claim("mail", "another", limit=3) == []
    for message in messages:
        commit(message.execution, message.token)


@pytest.mark.usefixtures("pulled")
def test_who_extends_a_lease_is_told_what_has_been_asked_to_end() -> None:
    for number in range(2):
        schedule_once("mail", f"{number}", after=0)
    first, second = claim("mail", "sender", limit=2)
    assert extend(first.execution, first.token).cancelled == ()
    cancel_execution(second.execution)
    assert extend(first.execution, first.token).cancelled == (second.execution,)
    assert discard(second.execution, second.token).outcome == "cancelled"
    assert extend(first.execution, first.token).cancelled == ()


@pytest.mark.parametrize(("end", "word"), [(commit, "succeeded"), (discard, "discarded")])
def test_the_same_verb_twice_answers_the_same_and_another_is_refused(pulled: TimerGroup, end: Any, word: str) -> None:
    timer = schedule_once("mail", "m", after=0)
    message = one()
    assert end(message.execution, message.token).outcome == word
    assert end(message.execution, message.token).outcome == word
    other = discard if end is commit else commit
    with pytest.raises(StaleToken):
        other(message.execution, message.token)
    assert words_of(timer) == [word]


def test_a_part_of_a_claim_is_ended_and_the_rest_stays(pulled: TimerGroup, time: VirtualTime) -> None:
    for number in range(3):
        schedule_once("mail", f"{number}", after=0)
    first, second, third = claim("mail", "sender", limit=10)
    assert first.token == second.token
    commit(second.execution, second.token)
    assert {str(each) for each in Claim.objects.get().executions} == {first.execution, third.execution}


def test_no_more_than_asked_for_is_given_though_a_timer_makes_up_for_much(
    pulled: TimerGroup, time: VirtualTime
) -> None:
    TimerGroup.objects.update(misfire_policy="fire_all", overlap_policy="allow")
    schedule_fixed_rate("mail", "m", period=1)
    time.advance(100)
    messages = claim("mail", "sender", limit=10)
    assert [message.envelope["NumberOfTry"] for message in messages] == [1] * 10
    assert Waiting.objects.filter(state="ready").count() == 90
    assert len(claim("mail", "sender", limit=1000)) == 90


def test_higher_priorities_come_first(pulled: TimerGroup, time: VirtualTime) -> None:
    schedule_once("mail", "low", after=0)
    schedule_once("mail", "high", after=1, priority=5)
    time.advance(2)
    assert one().envelope["Name"] == "high"


def test_workers_leave_such_groups_alone(pulled: TimerGroup, time: VirtualTime, node: Stepper) -> None:
    schedule_once("mail", "m", after=0)
    assert node.claim() == []
    message = one()
    discard(message.execution, message.token, delay=0)
    assert node.claim() == []


def test_a_living_nodes_housekeeping_rescues_what_a_consumer_lost(pulled: TimerGroup, time: VirtualTime) -> None:
    schedule_once("mail", "m", after=0)
    one(lease=10)
    rescued, seconds = rescue_expired(time.us)
    assert (rescued.total, seconds) == (0, 10)
    time.advance(10)
    rescued, seconds = rescue_expired(time.us)
    assert (rescued.ready, seconds) == (1, None)


def test_a_poison_message_fails_alone(pulled: TimerGroup, time: VirtualTime) -> None:
    factories.spoil(schedule_once("mail", "poison", after=0), "payload")
    schedule_once("mail", "good", after=0)
    assert [message.envelope["Name"] for message in claim("mail", "sender", limit=10)] == ["good"]
    assert [(row.name, row.state) for row in Waiting.objects.all()] == [("poison", "failed")]


def test_a_cancelled_timers_message_gets_no_further_try(pulled: TimerGroup, time: VirtualTime) -> None:
    timer = schedule_once("mail", "m", after=0)
    message = one()
    assert cancel_timer("mail", "m").in_flight == [message.execution]
    assert discard(message.execution, message.token).outcome == "cancelled"
    assert discard(message.execution, message.token).outcome == "cancelled"
    with pytest.raises(StaleToken):
        commit(message.execution, message.token)
    assert [row.outcome for row in finals_of(timer)] == ["cancelled"]


def test_a_paused_group_has_nothing_to_claim(pulled: TimerGroup, time: VirtualTime) -> None:
    schedule_once("mail", "m", after=0)
    pause_group("mail")
    assert claim("mail", "sender") == []


def test_a_deleted_group_cannot_lose_what_is_held(pulled: TimerGroup, time: VirtualTime) -> None:
    schedule_once("mail", "m", after=0)
    one()
    with pytest.raises(NotAllowedNow):
        delete_group("mail", force=True)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"consumer": ""}, "consumer"),
        ({"limit": 0}, "limit"),
        ({"limit": True}, "limit"),
        ({"lease": 0.5}, "lease"),
        ({"lease": float("nan")}, "lease"),
        ({"lease": "30"}, "lease"),
    ],
)
def test_what_makes_no_sense_is_refused(pulled: TimerGroup, wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        claim(**{"group": "mail", "consumer": "sender", **wrong})
    assert caught.value.field == field


def test_who_and_what_must_exist(pulled: TimerGroup, group: TimerGroup) -> None:
    with pytest.raises(TimerNotFound):
        claim("nothing", "sender")
    with pytest.raises(NotAllowedNow, match="served by workers"):
        claim("work", "sender")
    with pytest.raises(InvalidRequest, match="action of groups"):
        schedule_once("work", "m", after=0, action={"kind": "pull"})
    schedule_once("mail", "m", after=0)
    message = one()
    for token in ("", "1", "1:forged", message.token + "x", None):
        with pytest.raises(InvalidRequest):
            commit(message.execution, token)  # type: ignore[arg-type]
    for execution in ("", "x", "01a1fbf2"):
        with pytest.raises(InvalidRequest):
            commit(execution, message.token)


def test_a_timer_may_name_calendars_of_its_own(pulled: TimerGroup, time: VirtualTime) -> None:
    create_calendar("night", rules=[{"cron": "0 0 * * *", "duration": "PT9H"}])
    midnight = time.now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    timer = schedule_cron(
        "mail", "hourly", expression="0 * * * *", overrides={"exclusion_calendars": ["night"]}, start_at=midnight
    )
    time.set(midnight + timedelta(hours=9))
    assert one().envelope["ScheduledFireTime"].startswith(f"{midnight:%Y-%m-%d}T09:00:00")
    assert [(row.outcome, row.missed_count) for row in finals_of(timer)] == [("skipped", 8)]
