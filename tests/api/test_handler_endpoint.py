"""Handlers that are called over HTTP: what they return or raise, as an answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.test import override_settings

from tests.support.eventually import eventually
from tests.support.handlers import TemporaryHandlers
from timers.api import handler_endpoint
from timers.api.handler_endpoint import run_handler
from timers.exceptions import InvalidRequest, TimerNotFound
from timers.handlers import Discard, Fail, Fire, Retry, Snooze

ENVELOPE = {
    "Group": "vendors", "Name": "nightly", "NumberOfTry": 3, "FireTime": "2026-01-01T01:00:00.5+01:00",
    "ScheduledFireTime": "2026-01-01T00:00:00Z", "Payload": {"vendor": 7},
    "ExecutionId": "0191b8c5-0000-0000-0000-000000000001", "Fence": 12, "MissedCount": 2, "Origin": "schedule",
    "Node": "node-a",
}  # fmt: skip


@pytest.fixture
def handlers() -> Iterator[TemporaryHandlers]:
    temporary = TemporaryHandlers()
    yield temporary
    temporary.forget()


def test_a_handler_gets_the_fire_of_the_envelope(handlers: TemporaryHandlers) -> None:
    handlers.add("vendors.process", lambda fire: {"seen": fire.payload["vendor"]})
    answered = run_handler("vendors.process", ENVELOPE)
    assert (answered.status, answered.result, answered.headers) == (200, {"seen": 7}, {})
    (fire,) = handlers.calls
    given = fire.envelope()
    assert {key: given[key] for key in ENVELOPE if key not in ("FireTime", "ScheduledFireTime")} == {
        key: value for key, value in ENVELOPE.items() if key not in ("FireTime", "ScheduledFireTime")
    }
    assert (given["FireTime"], given["ScheduledFireTime"]) == (
        "2026-01-01T00:00:00.500+00:00", "2026-01-01T00:00:00+00:00",
    )  # fmt: skip


@pytest.mark.parametrize("body", [{"vendor": 7}, [1, 2], "text", 5, None])
@pytest.mark.django_db
def test_any_other_value_is_the_payload_of_a_call_without_a_timer(handlers: TemporaryHandlers, body: Any) -> None:
    handlers.add("vendors.process")
    assert run_handler("vendors.process", body).status == 200
    (fire,) = handlers.calls
    assert (fire.payload, fire.name, fire.origin, fire.number_of_try) == (body, "vendors.process", "call", 1)


def test_an_async_handler_runs_too(handlers: TemporaryHandlers) -> None:
    async def double(fire: Fire) -> int:
        return int(fire.payload["vendor"]) * 2

    handlers.add_async("double", double)
    assert run_handler("double", ENVELOPE).result == 14


def test_handler_of_a_step_is_told_step_chain_order_and_subscription(handlers: TemporaryHandlers) -> None:
    handlers.add("h", lambda fire: [fire.chain, fire.step, fire.order, fire.subscription])
    told = {"Chain": "main", "Step": "a", "Order": "o-1", "Subscription": "mail"}
    assert run_handler("h", {**ENVELOPE, **told}).result == ["main", "a", "o-1", "mail"]
    assert run_handler("h", ENVELOPE).result == ["", "", "", ""]


@pytest.mark.parametrize(
    ("raises", "status", "headers", "detail"),
    [
        (Discard("busy"), 503, {"timer-outcome": "discard"}, "busy"),
        (Discard(), 503, {"timer-outcome": "discard"}, "discarded"),
        (Retry("locked"), 503, {}, "Retry: locked"),
        (Retry("locked", after=7.5), 503, {"Retry-After": "8"}, "Retry: locked"),
        (Snooze(90, "night"), 503, {"Retry-After": "90", "timer-outcome": "snooze"}, "night"),
        (Fail("no such vendor"), 422, {"timer-outcome": "fail"}, "Fail: no such vendor"),
        (ValueError("bad"), 500, {}, "ValueError: bad"),
        (SystemExit(3), 500, {}, "SystemExit: 3"),
    ],
)
def test_what_a_handler_raises_is_an_answer_that_says_what_follows(
    handlers: TemporaryHandlers, raises: BaseException, status: int, headers: dict[str, str], detail: str
) -> None:
    handlers.script("h", raises)
    answered = run_handler("h", ENVELOPE)
    assert (answered.status, answered.headers, answered.detail) == (status, headers, detail)


@pytest.mark.parametrize("result", [object(), float("nan"), "x" * 9000])
def test_a_result_that_cannot_be_kept_is_left_out_of_a_success(handlers: TemporaryHandlers, result: Any) -> None:
    handlers.add("h", lambda _: result)
    answered = run_handler("h", ENVELOPE)
    assert (answered.status, answered.result) == (200, None)
    assert "was not kept" in answered.detail


def test_a_handler_is_told_to_end_at_its_limit_and_not_waited_for(handlers: TemporaryHandlers) -> None:
    ended = threading.Event()

    def stubborn(fire: Fire) -> None:
        fire.cancelled.wait(10)
        ended.set()

    handlers.add("stubborn", stubborn, timeout=0.05)
    answered = run_handler("stubborn", ENVELOPE)
    assert (answered.status, answered.detail) == (500, "ran longer than its limit of 0.05 s")
    assert ended.wait(5)


def test_an_async_handler_is_cancelled_at_its_limit(handlers: TemporaryHandlers) -> None:
    async def forever(fire: Fire) -> None:
        await asyncio.sleep(60)

    handlers.add_async("forever", forever, timeout=0.05)
    assert run_handler("forever", ENVELOPE).status == 500


def test_where_all_slots_are_taken_the_call_is_to_come_again_and_does_not_count(
    handlers: TemporaryHandlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = threading.BoundedSemaphore(1)
    monkeypatch.setattr(handler_endpoint, "_slots", lambda: slots)
    go = threading.Event()
    handlers.add("held", lambda _: go.wait(10), timeout=0.02)
    assert run_handler("held", ENVELOPE).status == 500
    answered = run_handler("held", ENVELOPE)
    assert (answered.status, answered.headers) == (503, {"Retry-After": "1", "timer-outcome": "snooze"})
    go.set()
    eventually(lambda: run_handler("held", ENVELOPE).status == 200)


def test_so_many_handlers_run_at_once_as_the_settings_say_and_the_next_is_to_come_again(
    handlers: TemporaryHandlers,
) -> None:
    begun, go = threading.Semaphore(0), threading.Event()

    def held(fire: Fire) -> None:
        begun.release()
        go.wait(10)

    handlers.add("held", held)
    handler_endpoint._slots.cache_clear()
    with override_settings(TIMERS={"ENTRY_SLOTS": 2}), ThreadPoolExecutor() as callers:
        running = [callers.submit(run_handler, "held", ENVELOPE) for _ in range(2)]
        assert all(begun.acquire(timeout=10) for _ in running)
        assert run_handler("held", ENVELOPE).status == 503
        go.set()
        assert [each.result(10).status for each in running] == [200, 200]
        assert run_handler("held", ENVELOPE).status == 200
    handler_endpoint._slots.cache_clear()


def test_an_unknown_handler_is_answered_with_the_nearest(handlers: TemporaryHandlers) -> None:
    handlers.add("vendors.process")
    with pytest.raises(TimerNotFound, match=r"did you mean vendors\.process"):
        run_handler("vendors.proces", ENVELOPE)
    for name in ("os.system", "builtins.eval", "../vendors.process", ""):
        with pytest.raises(TimerNotFound):
            run_handler(name, ENVELOPE)


@pytest.mark.parametrize(
    "wrong",
    [{"Group": 5}, {"NumberOfTry": "3"}, {"Fence": True}, {"FireTime": "today"}, {"ScheduledFireTime": 5}],
)
def test_an_envelope_that_cannot_be_read_names_its_key(handlers: TemporaryHandlers, wrong: dict[str, Any]) -> None:
    handlers.add("h")
    with pytest.raises(InvalidRequest) as caught:
        run_handler("h", ENVELOPE | wrong)
    assert caught.value.field in wrong
    assert handlers.calls == []
