"""Who is slow at sending a request or at reading its answer."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Final

import pytest

from tests.timerproject.web.conftest import Clock, Site, read_all, site
from timerproject.web.channel import (
    ANSWER_SILENCE,
    ANSWER_WITHIN,
    BODY_RATE,
    BODY_WITHIN,
    HEAD_WITHIN,
    SILENCE,
)

END: Final = "Host: localhost\r\nConnection: close\r\n\r\n"
ASKED: Final = f"GET /livez HTTP/1.1\r\n{END}"
POST: Final = "POST /api/v1/groups HTTP/1.1\r\nHost: localhost\r\n"
HEADS: Final = {
    "one byte": "P",
    "half a request line": "POST /api/v1/gro",
    "half a header": f"{POST}X-A",
    "all but the last byte": f"{POST}\r",
}
BODIES: Final = {
    "no body": f"{POST}Content-Length: 1000\r\n\r\n",
    "half a body": f"{POST}Content-Length: 1000\r\n\r\n" + "{" * 500,
    "half a large body": f"{POST}Content-Length: 8000000\r\n\r\n" + "x" * 1_000_000,
    "half a chunk": f"{POST}Transfer-Encoding: chunked\r\n\r\n100\r\nabc",
    "half a chunk's line": f"{POST}Transfer-Encoding: chunked\r\n\r\n1",
    "chunks without their end": f"{POST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
}
LONGER: Final = 0.5


@pytest.mark.parametrize("start", ["", *HEADS.values(), *BODIES.values()], ids=["nothing", *HEADS, *BODIES])
def test_silent_senders_take_no_thread(web: Site, start: str) -> None:
    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(web.connected(start))
        assert web.answer(ASKED).startswith(b"HTTP/1.1 200")


def test_a_sender_of_nothing_is_closed_without_an_answer(web: Site) -> None:
    with web.connected() as sender:
        web.answer(ASKED)
        web.clock.advance(HEAD_WITHIN + LONGER)
        assert read_all(sender) == b""


@pytest.mark.parametrize("start", HEADS.values(), ids=HEADS)
def test_headers_that_do_not_come_are_answered_408(web: Site, start: str) -> None:
    with web.connected(start) as sender:
        web.answer(ASKED)
        web.clock.advance(HEAD_WITHIN + LONGER)
        assert read_all(sender).startswith(b"HTTP/1.0 408")


@pytest.mark.parametrize("drip", ["X", "X: 1\r\n"])
def test_headers_that_drip_are_answered_408(web: Site, drip: str) -> None:
    with web.connected("GET / HTTP/1.1\r\n") as sender:
        for _ in range(4):
            web.answer(ASKED)
            web.clock.advance((HEAD_WITHIN + LONGER) / 4)
            sender.sendall(drip.encode())
        assert read_all(sender).startswith(b"HTTP/1.0 408")


def test_blank_lines_that_drip_keep_no_connection(web: Site) -> None:
    with web.connected("\r\n\r\n") as sender:
        for _ in range(4):
            web.answer(ASKED)
            web.clock.advance((HEAD_WITHIN + LONGER) / 4)
            sender.sendall(b"\r\n\r\n")
        assert sender.recv(1) == b""


@pytest.mark.parametrize("start", BODIES.values(), ids=BODIES)
def test_a_body_that_falls_silent_is_answered_408_as_a_problem(web: Site, start: str) -> None:
    with web.connected(start) as sender:
        web.answer(ASKED)
        web.clock.advance(SILENCE + LONGER)
        answer = read_all(sender)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"application/problem+json" in answer
    assert b'"code": "timeout"' in answer


def test_a_body_for_a_page_that_falls_silent_is_answered_408_as_text(web: Site) -> None:
    with web.connected("POST /login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n") as sender:
        web.answer(ASKED)
        web.clock.advance(SILENCE + LONGER)
        answer = read_all(sender)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"text/plain" in answer


def test_a_body_that_drips_is_answered_408(web: Site) -> None:
    with web.connected(BODIES["no body"]) as sender:
        for _ in range(4):
            web.answer(ASKED)
            web.clock.advance((BODY_WITHIN + LONGER) / 4)
            sender.sendall(b" ")
        assert read_all(sender).startswith(b"HTTP/1.1 408")


def test_a_body_that_comes_at_the_rate_is_taken(web: Site) -> None:
    part = int(BODY_RATE * SILENCE)
    with web.connected(f"POST / HTTP/1.1\r\nContent-Length: {part * 6}\r\n{END}") as sender:
        for _ in range(6):
            sender.sendall(b"x" * part)
            web.answer(ASKED)
            web.clock.advance(SILENCE - LONGER)
        assert read_all(sender).startswith(b"HTTP/1.1 200")


def test_an_unused_connection_is_kept_and_then_closed(web: Site) -> None:
    with web.connected("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") as client:
        _read_one(client)
        web.clock.advance(70)
        web.answer(ASKED)
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        _read_one(client)
        web.clock.advance(76)
        assert client.recv(65536) == b""


def test_slow_readers_take_no_thread(web: Site) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            reader = stack.enter_context(_reader(web))
            reader.sendall(f"GET /large?30000000 HTTP/1.1\r\n{END}".encode())
        assert web.answer(ASKED).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("seconds", [ANSWER_SILENCE, ANSWER_WITHIN])
def test_an_answer_that_is_not_taken_is_given_up(web: Site, seconds: float) -> None:
    with _reader(web) as reader:
        reader.sendall(f"GET /large?30000000 HTTP/1.1\r\n{END}".encode())
        reader.recv(1)
        web.wait_until_buffered()
        web.clock.advance(seconds + LONGER)
        web.maintain()
        taken = 0
        try:
            while chunk := reader.recv(65536):
                taken += len(chunk)
        except ConnectionResetError:
            pass
        assert taken < 30_000_000


def test_waiting_connections_make_room_where_no_more_are_taken(clock: Clock, listener: socket.socket) -> None:
    with site(clock, listener, worker_connections=20) as web, ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(web.connected())
        assert web.answer(ASKED).startswith(b"HTTP/1.1 200")


def _read_one(client: socket.socket) -> None:
    """Read one answer of the service from a connection that is kept."""
    answer = b""
    while not answer.endswith(b'"body": ""}'):
        answer += client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200")


def _reader(web: Site) -> socket.socket:
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    reader.settimeout(20)
    reader.connect(web.address)
    return reader
