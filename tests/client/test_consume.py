"""Consumers: blocks that commit, discard and give back; leases that are kept, and lost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F
from timers_client import Discard, LeaseLost, TimersClient

from tests.client.waiting import wait_until
from timers.models import Attempt, Claim, Waiting


@pytest.fixture(autouse=True)
def group(client: TimersClient) -> None:
    client.create_group("g", action={"kind": "pull"}, retry={"max_retries": 5, "min_backoff": 0})


def outcomes() -> list[str]:
    return list(Attempt.objects.order_by("attempt", "id").values_list("outcome", flat=True))


def test_leaving_the_block_commits_and_keeps_the_result(client: TimersClient) -> None:
    client.schedule_once("g", "a", after=0, payload={"n": 1})
    consumer = client.consume("g", consumer="b", wait=1)
    for message in consumer:
        with message:
            assert (message.payload, message.number_of_try) == ({"n": 1}, 1)
            message.result = {"sent": True}
        consumer.stop()
    row = Attempt.objects.get()
    assert (row.outcome, row.result, row.node) == ("succeeded", {"sent": True}, "consumer b")


def test_discard_shows_it_again_and_an_exception_too_but_is_raised(client: TimersClient) -> None:
    client.schedule_once("g", "a", after=0)
    tries = []

    def consume() -> None:
        for message in client.consume("g", wait=1):
            with message:
                tries.append(message.number_of_try)
                if message.number_of_try == 1:
                    raise Discard("not yet", delay=0)
                raise ZeroDivisionError("oops")

    with pytest.raises(ZeroDivisionError):
        consume()
    assert tries == [1, 2]
    assert outcomes() == ["discarded", "discarded"]
    assert Waiting.objects.get().reason == "ZeroDivisionError: oops"


def test_a_message_may_be_settled_by_hand_and_then_its_block_does_nothing_more(client: TimersClient) -> None:
    client.schedule_many("g", [{"kind": "once", "name": f"t{n}", "after": 0} for n in range(2)])
    consumer = client.consume("g", limit=2, wait=1)
    for message in consumer:
        with message:
            if message.envelope["Name"] == "t0":
                message.discard("later", delay=600)
            else:
                message.commit()
                consumer.stop()
    assert sorted(outcomes()) == ["discarded", "succeeded"]


def test_leaving_the_block_of_a_lost_message_says_so(client: TimersClient) -> None:
    client.schedule_once("g", "a", after=0)
    seen = []

    def consume() -> None:
        for message in client.consume("g", wait=1):
            with message:
                Claim.objects.update(expires_at=F("expires_at") - timedelta(seconds=60))
                seen.extend([message, *client.claim("g", "another")])

    with pytest.raises(LeaseLost):
        consume()
    mine, theirs = seen
    assert mine.lost
    client.commit(theirs.execution, theirs.token)
    assert sorted(outcomes()) == ["lost", "succeeded"]


def test_the_lease_of_what_is_held_is_kept_in_the_background(client: TimersClient) -> None:
    client.schedule_once("g", "a", after=0)
    consumer = client.consume("g", lease=1.5, wait=1)
    for message in consumer:
        with message:
            claimed = Claim.objects.get()
            wait_until(Claim.objects.filter(expires_at__gt=claimed.expires_at).exists)
            consumer.stop()
    assert outcomes() == ["succeeded"]
