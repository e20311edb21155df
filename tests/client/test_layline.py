"""The document of the Timer Service of layline.io, end to end: one program schedules, another consumes.

Time is that of a sandbox group, which is advanced, so nothing waits.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from timers_client import Discard, TimersClient

from timers.models import Attempt, Waiting
from timers.scheduling import advance_clock, create_sandbox

KEYS = ["Group", "Name", "NumberOfTry", "FireTime", "ScheduledFireTime", "Payload"]
START = "2027-02-26T15:00:27+01:00"
PAYLOAD = {"Order": 4711, "Total": "25.00", "Big": 2**70}


@pytest.fixture(autouse=True)
def group(client: TimersClient) -> None:
    """The defaults of a group are the document's: five retries, waits that double from 120 up to 600 seconds."""
    create_sandbox("MyTimerGroup", "2027-02-26T15:00:00+01:00", action={"kind": "pull"})


def schedule(client: TimersClient, **more: Any) -> str:
    """Workflow A."""
    name = str(uuid4())
    client.schedule_fixed_rate(
        "MyTimerGroup", name, period=60, start_at=START, payload=PAYLOAD, time_zone="Europe/Berlin",
        until_committed=True, **more,
    )  # fmt: skip
    return name


def pending(client: TimersClient) -> list[str]:
    return [timer.name for timer in client.get_timers("MyTimerGroup", state="active")]


def consume_one(client: TimersClient, *, commit: bool) -> dict[str, Any] | None:
    """Workflow B, given one message if there is one."""
    consumer = client.consume("MyTimerGroup", consumer="B", wait=0)
    claimed = client.claim("MyTimerGroup", "B")
    if not claimed:
        return None
    (message,) = claimed
    if commit:
        client.commit(message.execution, message.token)
    else:
        client.discard(message.execution, message.token, reason="not yet")
    consumer.stop()
    return dict(message.envelope)


def test_a_message_is_shown_again_at_each_tick_until_it_is_committed(client: TimersClient) -> None:
    name = schedule(client)
    assert consume_one(client, commit=False) is None, "nothing is shown before its time"
    envelopes = []
    for minute in range(3):
        advance_clock("MyTimerGroup", to=datetime.fromisoformat(START) + timedelta(minutes=minute))
        assert pending(client) == [name]
        envelope = consume_one(client, commit=minute == 2)
        assert envelope is not None
        assert consume_one(client, commit=True) is None, "once at each tick"
        envelopes.append(envelope)
    assert [envelope["NumberOfTry"] for envelope in envelopes] == [1, 2, 3]
    for envelope in envelopes:
        assert list(envelope)[:6] == KEYS
        assert (envelope["Group"], envelope["Name"], envelope["Payload"]) == ("MyTimerGroup", name, PAYLOAD)
        assert envelope["ScheduledFireTime"] == START
    assert [envelope["FireTime"][:19] for envelope in envelopes] == [
        "2027-02-26T15:00:27", "2027-02-26T15:01:27", "2027-02-26T15:02:27",
    ]  # fmt: skip
    assert pending(client) == []
    assert client.get_timer("MyTimerGroup", name).state == "finished"
    rows = Attempt.objects.order_by("attempt").values_list("outcome", flat=True)
    assert list(rows) == ["discarded", "discarded", "succeeded"]


def test_without_a_commit_it_fails_after_its_retries_with_the_payload_intact(client: TimersClient) -> None:
    client.schedule_once("MyTimerGroup", "held", at=START, payload=PAYLOAD)
    instant = datetime.fromisoformat(START)
    advance_clock("MyTimerGroup", to=instant)
    waits = []
    for number_of_try in range(1, 7):
        envelope = consume_one(client, commit=False)
        assert envelope is not None and envelope["NumberOfTry"] == number_of_try
        row = Waiting.objects.get()
        if row.state == "failed":
            break
        waits.append(round((row.available_at - instant).total_seconds()))
        instant = row.available_at
        advance_clock("MyTimerGroup", to=instant - timedelta(seconds=1))
        assert consume_one(client, commit=True) is None
        advance_clock("MyTimerGroup", to=instant)
    assert waits == [120, 240, 480, 600, 600]
    (failed,) = client.get_executions(state="failed")
    assert client.get_execution(failed.id).raw["payload"] == PAYLOAD
    (failure,) = client.failures()
    assert (failure["count"], failure["groups"]) == (1, ["MyTimerGroup"])
    client.retry(failed.id, payload={**PAYLOAD, "Total": "26.00"})
    envelope = consume_one(client, commit=True)
    assert envelope is not None and envelope["Payload"]["Total"] == "26.00"


def test_the_consumers_loop_discards_twice_and_commits_the_third_time(client: TimersClient) -> None:
    name = schedule(client)
    advance_clock("MyTimerGroup", to=START)
    tries = []
    consumer = client.consume("MyTimerGroup", consumer="B", wait=1)
    for message in consumer:
        with message:
            tries.append(message.number_of_try)
            if message.number_of_try < 3:
                raise Discard("not yet")
            consumer.stop()
        advance_clock("MyTimerGroup", by=60)
    assert tries == [1, 2, 3]
    assert client.get_timer("MyTimerGroup", name).state == "finished"
