"""Consumers: blocks that commit, discard and give back; leases that are kept, and lost."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from timers_client import (
    ApiError,
    ConnectionFailed,
    Consumer,
    Discard,
    LeaseLost,
    NotAllowedNow,
    NotFound,
    TimersClient,
    Unavailable,
)

from tests.support.eventually import eventually
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


def test_what_was_claimed_by_itself_is_read_as_a_message_is(client: TimersClient) -> None:
    client.schedule_once("g", "a", after=0, payload={"n": 1})
    (claimed,) = client.claim("g", "b")
    assert (claimed.payload, claimed.group, claimed.name, claimed.number_of_try) == ({"n": 1}, "g", "a", 1)
    assert claimed.fence == claimed.envelope["Fence"]
    assert claimed.fire_time >= claimed.scheduled_fire_time


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
    consumer = client.consume("g", lease=3, wait=1)
    for message in consumer:
        with message:
            claimed = Claim.objects.get()
            eventually(Claim.objects.filter(expires_at__gt=claimed.expires_at).exists)
            consumer.stop()
    assert outcomes() == ["succeeded"]


def lose_the_claim() -> None:
    Claim.objects.update(expires_at=F("expires_at") - timedelta(seconds=60))


def consume_failing(consumer: Consumer, error: Exception) -> None:
    """A loop whose block raises this; the error leaves the loop."""
    with consumer:
        for message in consumer:
            with message:
                raise error


def test_what_was_claimed_and_not_begun_is_given_back_when_it_stops(client: TimersClient) -> None:
    client.schedule_many("g", [{"kind": "once", "name": f"t{n}", "after": 0} for n in range(4)])
    consumer = client.consume("g", limit=4, wait=1)
    for message in consumer:
        with message:
            consumer.stop()
    assert not Claim.objects.exists()
    assert sorted(outcomes()) == [*["discarded"] * 3, "succeeded"]
    reasons = set(Waiting.objects.values_list("reason", flat=True))
    assert reasons == {"given back before it was begun: its consumer stopped"}
    assert len(client.claim("g", "next", limit=10)) == 3


def test_leaving_the_loop_by_break_or_by_an_error_gives_back_too(client: TimersClient) -> None:
    client.schedule_many("g", [{"kind": "once", "name": f"t{n}", "after": 0} for n in range(3)])
    for message in client.consume("g", limit=2, wait=1):
        with message:
            pass
        break
    assert not Claim.objects.exists()
    with pytest.raises(KeyError):
        consume_failing(client.consume("g", limit=2, wait=1), KeyError("x"))
    assert not Claim.objects.exists()


def test_a_signal_stops_it_after_the_message_at_hand(client: TimersClient) -> None:
    before = signal.getsignal(signal.SIGTERM)
    client.schedule_many("g", [{"kind": "once", "name": f"t{n}", "after": 0} for n in range(3)])
    done = 0
    for message in client.consume("g", wait=1, stop_on=[signal.SIGTERM]):
        with message:
            os.kill(os.getpid(), signal.SIGTERM)
        done += 1
    assert (done, outcomes()) == (1, ["succeeded"])
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_ends_a_pause_at_once(client: TimersClient) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def end() -> None:
        eventually(lambda: signal.getsignal(signal.SIGTERM) != before)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = Thread(target=end)
    thread.start()
    assert not list(client.consume("g", wait=0, stop_on=[signal.SIGTERM]))
    thread.join()


def test_a_consumer_may_go_on_after_errors_and_losses_and_logs_them(
    client: TimersClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.schedule_once("g", "a", after=0)
    consumer = client.consume("g", wait=1, on_error="log", on_lost="log")
    tries = []
    for message in consumer:
        with message:
            tries.append(message.number_of_try)
            if len(tries) == 1:
                raise ZeroDivisionError("oops")
            lose_the_claim()
            (theirs,) = client.claim("g", "another")
            consumer.stop()
    assert tries == [1, 2]
    assert message.lost
    assert "oops" in caplog.text
    assert "is not this consumer's any more" in caplog.text
    client.commit(theirs.execution, theirs.token)
    with pytest.raises(ValueError, match="on_error"):
        client.consume("g", on_error="ignore")  # type: ignore[arg-type]


def test_an_error_of_the_block_is_raised_even_if_the_message_cannot_be_discarded(client: TimersClient) -> None:
    client.schedule_once("g", "a", after=0)

    def consume() -> None:
        for message in client.consume("g", wait=1):
            with message:
                lose_the_claim()
                client.claim("g", "another")
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as raised:
        consume()
    assert "nor could the message be discarded" in raised.value.__notes__[0]


def test_whatever_an_error_says_the_message_is_discarded(client: TimersClient) -> None:
    client.schedule_once("g", "a", after=0)
    with pytest.raises(RuntimeError):
        consume_failing(client.consume("g", wait=1), RuntimeError("\0 \ud800 " + "x" * 5000))
    assert Waiting.objects.get().reason.startswith("RuntimeError: \ufffd ? xxx")


def test_a_message_that_is_let_go_without_a_word_is_kept_no_longer(
    client: TimersClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A loop without `with message:` would hold each of its messages for ever."""
    client.schedule_many("g", [{"kind": "once", "name": f"t{n}", "after": 0} for n in range(2)])
    consumer = client.consume("g", wait=1, lease=1)
    seen = []
    for message in consumer:
        seen.append((message.name, message.number_of_try))
        if len(seen) == 3:
            consumer.stop()
    assert seen[2] in {("t0", 2), ("t1", 2)}
    assert "neither committed nor discarded" in caplog.text


def test_messages_may_be_handed_to_threads_and_are_kept_until_these_are_done(client: TimersClient) -> None:
    client.schedule_many("g", [{"kind": "once", "name": f"t{n}", "after": 0} for n in range(3)])
    consumer = client.consume("g", limit=3, lease=3, wait=1)

    def handle(message: Any) -> None:
        with message:
            first = Claim.objects.values_list("expires_at", flat=True).get()
            eventually(Claim.objects.filter(expires_at__gt=first).exists)
            assert not message.lost
        connection.close()

    with ThreadPoolExecutor(3) as threads:
        for number, message in enumerate(consumer, start=1):
            threads.submit(handle, message)
            if number == 3:
                consumer.stop()
    assert outcomes() == ["succeeded"] * 3


def test_a_message_that_is_cancelled_meanwhile_says_so_and_ends_as_cancelled(client: TimersClient) -> None:
    client.schedule_once("g", "a", after=0)
    message = next(iter(client.consume("g", lease=1, wait=1)))
    with message:
        assert not message.cancelled
        client.cancel_timer("g", "a")
        eventually(lambda: message.cancelled)
        raise Discard("not wanted any more")
    assert outcomes() == ["cancelled"]


def test_a_consumer_outlives_an_outage(
    client: TimersClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("timers_client.holding.uniform", lambda low, high: 0)
    client.schedule_once("g", "a", after=0)
    failures = iter([Unavailable(503, {"detail": "away"}), ConnectionFailed("gone"), ApiError(500, {})])
    call = TimersClient.call

    def failing(self: TimersClient, asked: Any, **options: Any) -> Any:
        if "/claims" in asked.path and (error := next(failures, None)):
            raise error
        return call(self, asked, **options)

    monkeypatch.setattr(TimersClient, "call", failing)
    consumer = client.consume("g", wait=1)
    for message in consumer:
        with message:
            consumer.stop()
    assert outcomes() == ["succeeded"]
    assert caplog.text.count("cannot claim, and goes on") == 3


def test_what_an_operator_must_mend_ends_the_loop(client: TimersClient) -> None:
    with pytest.raises(NotFound):
        list(client.consume("none"))
    client.create_group("served", action={"kind": "python", "handler": "timerbench.noop"})
    with pytest.raises(NotAllowedNow, match="pull"):
        list(client.consume("served"))


def test_many_messages_may_be_committed_at_once(client: TimersClient) -> None:
    client.schedule_many("g", [{"kind": "once", "name": f"t{n}", "after": 0} for n in range(3)])
    claimed = client.claim("g", "c", limit=3)
    settled = client.commit_many([(each.execution, each.token) for each in claimed[:2]] + [("x", claimed[2].token)])
    assert [each.outcome for each in settled] == ["succeeded", "succeeded", None]
    assert settled[2].errors[0].field == "execution"
