"""What becomes of calls when the service, or the way to it, is bad; with both transports alike."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from timers_client import AsyncTimersClient, ConnectionFailed, NotFound, TimersClient, TimersError, Unavailable, calls
from timers_client.call import Call

from tests.support.certificates import Authority
from tests.support.targets import Answer, Target, Town, hang, plain, raw, reset, town

CarryOut = Callable[..., Any]
ME = b'{"actor": "key x"}'
UNAVAILABLE = plain("503 Service Unavailable", b'{"code": "unavailable", "detail": "away"}', Retry_After="0")


def by_urllib3(url: str, call: Call[Any], **options: Any) -> Any:
    with TimersClient(url, "tk_x", **options) as client:
        return client.call(call)


def by_aiohttp(url: str, call: Call[Any], **options: Any) -> Any:
    async def run() -> Any:
        async with AsyncTimersClient(url, "tk_x", **options) as client:
            return await client.call(call)

    return asyncio.run(run())


@pytest.fixture(params=[by_urllib3, by_aiohttp], ids=["urllib3", "aiohttp"])
def carry_out(request: pytest.FixtureRequest) -> CarryOut:
    carry: CarryOut = request.param
    return carry


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are shown by test_call; here they would only take time."""
    monkeypatch.setattr("timers_client.call.uniform", lambda low, high: low)


@pytest.fixture
def here() -> Iterator[Town]:
    with town() as made:
        yield made


def in_turn(*answers: Answer) -> Answer:
    """Answers each request by another of these, and all further ones by the last."""
    left = list(answers)

    async def answer(*said: Any) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(*said)

    return answer


def address(target: Target) -> str:
    return target.url.removesuffix("/hook")


def test_a_write_whose_answer_was_lost_is_repeated_by_the_same_key(here: Town, carry_out: CarryOut) -> None:
    """The service answers the second as it did the first, so that nothing is done twice."""
    cut_off = [raw(b"HTTP/1.1 202 Acc"), raw(b'HTTP/1.1 202 Accepted\r\nContent-Length: 18\r\n\r\n{"execution')]
    target = here.target(in_turn(reset, *cut_off, plain("202 Accepted", b'{"execution": "e"}')))
    assert carry_out(address(target), calls.fire_timer("g", "n")) == "e"
    keys = [request.header("Idempotency-Key") for request in target.requests]
    assert len(keys) == 4
    assert len(set(keys)) == 1 and keys[0]


def test_an_outage_is_outlived(here: Town, carry_out: CarryOut) -> None:
    bad_gateway = plain("502 Bad Gateway", b"<html>nginx</html>")
    too_many = plain("429 Too Many Requests", b'{"code": "rate_limited"}', Retry_After="0")
    target = here.target(in_turn(UNAVAILABLE, bad_gateway, too_many, plain(body=ME)))
    assert carry_out(address(target), calls.me()) == {"actor": "key x"}
    assert len(target.requests) == 4


def test_an_outage_that_lasts_is_told_when_the_deadline_is_near(
    here: Town, carry_out: CarryOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("timers_client.call.uniform", lambda low, high: high)
    target = here.target(UNAVAILABLE)
    with pytest.raises(Unavailable, match="away"):
        carry_out(address(target), calls.me(), deadline=0.5)
    assert len(target.requests) in {1, 2}


def test_a_refusal_is_not_asked_for_again(here: Town, carry_out: CarryOut) -> None:
    target = here.target(plain("404 Not Found", b'{"code": "not_found"}'))
    with pytest.raises(NotFound):
        carry_out(address(target), calls.get_timer("g", "n"))
    assert len(target.requests) == 1


def test_what_is_answered_once_only_is_not_repeated(here: Town, carry_out: CarryOut) -> None:
    target = here.target(reset)
    with pytest.raises(ConnectionFailed):
        carry_out(address(target), calls.ask("POST", "/keys", {"name": "k"}))
    (request,) = target.requests
    assert request.header("Idempotency-Key") is None


@pytest.mark.parametrize(
    "answer",
    [hang, raw(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b" ", pause=0.02, forever=True)],
    ids=["hanging", "trickling"],
)
def test_a_slow_answer_is_not_waited_for_longer_than_the_deadline(
    here: Town, carry_out: CarryOut, answer: Answer
) -> None:
    target = here.target(answer)
    began = time.monotonic()
    with pytest.raises(ConnectionFailed):
        carry_out(address(target), calls.me(), deadline=0.3)
    assert time.monotonic() - began < 3


def test_an_endless_answer_is_given_up(here: Town, carry_out: CarryOut, monkeypatch: pytest.MonkeyPatch) -> None:
    for transport in ("sync", "aio"):
        monkeypatch.setattr(f"timers_client.{transport}.MOST_BYTES", 1_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"
    target = here.target(raw(head, b" " * 65_536, forever=True))
    with pytest.raises(ConnectionFailed, match="too large"):
        carry_out(address(target), calls.me())
    assert len(target.requests) == 1


def test_a_redirect_is_told_and_the_key_is_not_sent_along(here: Town, carry_out: CarryOut) -> None:
    other = here.target(plain(body=ME))
    target = here.target(plain("301 Moved Permanently", Location=other.url))
    with pytest.raises(TimersError, match=other.url):
        carry_out(address(target), calls.me())
    assert not other.requests


def test_a_certificate_that_is_not_trusted_ends_the_call_at_once(
    here: Town, carry_out: CarryOut, tmp_path: Path
) -> None:
    authority = Authority()
    target = here.target(plain(body=ME), tls=authority.server_context(tmp_path, "127.0.0.1"))
    with pytest.raises(ConnectionFailed) as failed:
        carry_out(address(target), calls.me())
    assert not failed.value.may_pass
    assert not target.requests
    trusting = ssl.create_default_context(cadata=authority.pem)
    assert carry_out(address(target), calls.me(), ssl_context=trusting) == {"actor": "key x"}


def test_nobody_there_is_a_failed_connection(carry_out: CarryOut) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ConnectionFailed, match=str(port)):
        carry_out(f"http://127.0.0.1:{port}", calls.me(), deadline=0)


def test_many_timers_are_sent_in_several_calls_and_their_results_are_one_list(here: Town, carry_out: CarryOut) -> None:
    lines = [json.dumps({"index": place, "name": f"t{place}", "result": "created"}) for place in range(2)]
    target = here.target(plain(body="\n".join(lines).encode(), Content_Type="application/x-ndjson"))
    requests = [{"kind": "once", "name": f"t{number}", "after": 1, "payload": "x" * 60_000} for number in range(150)]
    for call in calls.bulks("g", requests):
        results = carry_out(address(target), call)
        assert [each.result for each in results] == ["created", "created"]
    assert results[0].index > 100
    assert len(target.requests) == 2
    with pytest.raises(ValueError, match="atomic"):
        list(calls.bulks("g", requests, atomic=True))
