"""The asynchronous client against the real service."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from django.db import connection
from timers_client import AsyncTimersClient, Discard, Invalid, LeaseLost, NotFound, TimersClient

from tests.support.eventually import eventually
from timers.models import Attempt, Claim, Waiting


@pytest.fixture(autouse=True)
def group(client: TimersClient) -> None:
    client.create_group("g", action={"kind": "pull"}, retry={"max_retries": 5, "min_backoff": 0})


@pytest.fixture
def run(live_server: Any, key: str) -> Callable[[Callable[[AsyncTimersClient], Awaitable[Any]]], Any]:
    """Runs a coroutine with a client; ends it when it takes too long."""

    def run(work: Callable[[AsyncTimersClient], Awaitable[Any]]) -> Any:
        async def with_client() -> Any:
            async with AsyncTimersClient(live_server.url, key) as client, asyncio.timeout(20):
                return await work(client)

        return asyncio.run(with_client())

    return run


Run = Callable[[Callable[[AsyncTimersClient], Awaitable[Any]]], Any]


def test_both_clients_have_the_same_words() -> None:
    def words(client: type) -> set[str]:
        return {name for name in dir(client) if not name.startswith("_")}

    assert words(TimersClient) == words(AsyncTimersClient)


def test_timers_are_scheduled_listed_changed_and_cancelled(run: Run) -> None:
    async def work(client: AsyncTimersClient) -> None:
        timer = await client.schedule_fixed_rate("g", "a", period=60, payload={"n": 2**70})
        assert timer.payload == {"n": 2**70}
        results = await client.schedule_many("g", [{"kind": "once", "name": f"t{n}", "after": 60} for n in range(5)])
        assert {result.result for result in results} == {"created"}
        assert len([timer async for timer in client.get_timers("g", limit=2)]) == 6
        assert (await client.update_timer("g", "a", version=timer.version, period=5)).raw["period"] == 5
        assert (await client.cancel_timer("g", "a")).timer.state == "cancelled"
        with pytest.raises(NotFound):
            await client.get_timer("g", "none")
        assert (await client.ensure_group("g"))["name"] == "g"
        with pytest.raises(Invalid, match="no address can hold it"):
            await client.pause_timer("g", "..")
        assert (await client.get_group("g"))["state"] == "active"

    run(work)


def test_a_message_is_discarded_then_failed_then_committed(run: Run) -> None:
    async def work(client: AsyncTimersClient) -> list[int]:
        await client.schedule_once("g", "a", after=0, payload=[1])
        tries = []
        consumer = client.consume("g", wait=1, on_error="log")
        async for message in consumer:
            async with message:
                tries.append(message.number_of_try)
                if message.number_of_try == 1:
                    raise Discard("not yet", delay=0)
                if message.number_of_try == 2:
                    raise ZeroDivisionError("oops")
                message.result = message.payload
                consumer.stop()
        return tries

    assert run(work) == [1, 2, 3]
    rows = list(Attempt.objects.order_by("attempt").values_list("outcome", "reason", "result"))
    assert rows == [
        ("discarded", "not yet", None), ("discarded", "ZeroDivisionError: oops", None), ("succeeded", None, [1]),
    ]  # fmt: skip


def test_a_cancelled_task_gives_its_message_and_those_not_begun_back(run: Run) -> None:
    async def work(client: AsyncTimersClient) -> None:
        await client.schedule_many("g", [{"kind": "once", "name": f"t{n}", "after": 0} for n in range(3)])
        begun = asyncio.Event()

        async def consume() -> None:
            async for message in client.consume("g", limit=3, wait=1):
                async with message:
                    begun.set()
                    await asyncio.sleep(60)

        task = asyncio.create_task(consume())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(work)
    assert not Claim.objects.exists()
    assert sorted(Waiting.objects.values_list("reason", flat=True)) == [
        "CancelledError: ", *["given back before it was begun: its consumer stopped"] * 2,
    ]  # fmt: skip


def test_a_signal_stops_the_consumer_after_the_message_at_hand(run: Run) -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def work(client: AsyncTimersClient) -> int:
        await client.schedule_many("g", [{"kind": "once", "name": f"t{n}", "after": 0} for n in range(3)])
        done = 0
        async for message in client.consume("g", limit=3, wait=1, stop_on=[signal.SIGTERM]):
            async with message:
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.sleep(0.05)
            done += 1
        return done

    assert run(work) == 1
    assert signal.getsignal(signal.SIGTERM) == before
    assert not Claim.objects.exists()


def test_several_tasks_share_what_is_claimed_and_leases_are_kept_until_they_are_done(run: Run) -> None:
    async def work(client: AsyncTimersClient) -> None:
        await client.schedule_many("g", [{"kind": "once", "name": f"t{n}", "after": 0} for n in range(3)])
        consumer = client.consume("g", limit=3, lease=3, wait=1)

        async def handle(message: Any) -> None:
            async with message:
                await asyncio.to_thread(lease_is_kept)

        async with asyncio.TaskGroup() as tasks:
            count = 0
            async for message in consumer:
                tasks.create_task(handle(message))
                count += 1
                if count == 3:
                    consumer.stop()

    run(work)
    assert list(Attempt.objects.values_list("outcome", flat=True)) == ["succeeded"] * 3


def lease_is_kept() -> None:
    """Returns when the claim's end was moved."""
    first = Claim.objects.values_list("expires_at", flat=True).get()
    eventually(Claim.objects.filter(expires_at__gt=first).exists)
    connection.close()


def lose_all_claims() -> None:
    Claim.objects.all().delete()
    connection.close()


def test_a_lost_message_says_so(run: Run) -> None:
    async def work(client: AsyncTimersClient) -> None:
        await client.schedule_once("g", "a", after=0)
        async for message in client.consume("g", wait=1):
            with pytest.raises(LeaseLost):
                async with message:
                    await asyncio.to_thread(lose_all_claims)
            assert message.lost
            break

    run(work)
