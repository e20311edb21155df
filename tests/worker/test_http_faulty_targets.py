from __future__ import annotations

import socket
import zlib
from collections.abc import Callable

import pytest

from tests.support.targets import Town, hang, plain, raw, reset
from tests.worker.calling import Caller, exchange


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "word", "says"),
    [
        (hang, "timeout", "limit of 0.4 s"),
        (raw(b"HTTP/1.1 200 OK\r\nX: ", b"a", pause=0.05, forever=True), "timeout", "limit of 0.4 s"),
        (raw(ENDLESS, b"x", pause=0.05, forever=True), "timeout", "limit of 0.4 s"),
        (raw(b"HTTP/1.1 100 Continue\r\n\r\n", forever=True), "timeout", "limit of 0.4 s"),
        (raw(ENDLESS, b"x" * 65_536, forever=True), "succeeded", ""),
        (raw(b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"a" * 1000 + b"\r\n"] * 1000, b"\r\n"), "error", "is not HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n"), "error", "is not HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), "error", "broke off"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nab"), "error", "is not HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "error", "is not HTTP"),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "error", "is not HTTP"),
        (raw(b"\x00" * 100), "error", "is not HTTP"),
        (raw(b""), "error", "closed the connection"),
        (reset, "error", "closed the connection"),
    ],
)  # fmt: skip
def test_a_target_that_answers_rubbish_costs_its_own_try_only(
    here: Town, caller: Caller, answer: Callable[..., object], word: str, says: str
) -> None:
    target = here.target(answer)  # type: ignore[arg-type]
    good = here.target(plain())

    outcome = caller.call(target.url, timeout=0.4)

    assert outcome.word == word
    assert says in str(outcome.error_title)
    assert outcome.started_us is not None
    assert outcome.finished_us - outcome.started_us < 2_000_000
    assert len(str(outcome.exchange)) < 64 * 1024
    assert caller.call(good.url).word == "succeeded"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_bomb_is_opened_only_as_far_as_is_kept(here: Town, caller: Caller, encoding: str) -> None:
    packer = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    bomb = packer.compress(b"\0" * 50_000_000) + packer.flush()
    target = here.target(plain("200 OK", bomb, Content_Encoding=encoding))

    outcome = caller.call(target.url)

    kept = exchange(outcome)["response"]
    assert outcome.word == "succeeded"
    assert kept["cut"] is True
    assert len(kept["body"]) <= 4 * 8192


def test_what_a_target_says_is_kept_as_text_that_can_be_stored(here: Town, caller: Caller) -> None:
    target = here.target(plain("200 \xffK", b"\x00\xff\xed\xa0\x80" + "ü".encode(), X_Odd="\xff\xfe"))

    text = caller.call(target.url).exchange

    assert text is not None
    assert "\\u0000" not in text
    text.encode()


def test_a_limit_that_passes_tells_how_far_the_call_came(here: Town, caller: Caller) -> None:
    target = here.target(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"x", pause=5))

    outcome = caller.call(target.url, timeout=1.0)

    assert outcome.word == "timeout"
    assert exchange(outcome)["response"]["status"] == 200
    assert exchange(outcome)["timing_ms"]["total"] >= 200


def test_a_refused_connection_and_an_unknown_name_are_told_apart(caller: Caller) -> None:
    assert "no connection to" in str(caller.call(f"http://127.0.0.1:{unused_port()}/").error_title)
    assert "does not resolve" in str(caller.call("http://no-such-host.invalid/").error_title)


def test_a_kept_connection_that_the_target_has_closed_costs_no_try(here: Town, caller: Caller) -> None:
    async def once(request, reader, writer) -> None:  # type: ignore[no-untyped-def]
        await plain()(request, reader, writer)
        await writer.drain()
        # Says that it stays, and goes: the worker finds out only with the next request.
        writer.transport.set_write_buffer_limits(0)
        if len(target.requests) == 1:
            await reader.readexactly(1)
            writer.transport.abort()

    target = here.target(once)

    assert caller.call(target.url).word == "succeeded"
    assert caller.call(target.url).word == "succeeded"
    assert target.connections == 2
