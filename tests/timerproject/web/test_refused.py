"""What the web server refuses by itself, and how."""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.timerproject.web.conftest import Site

HEAD: Final = "Host: localhost\r\nContent-Type: application/json\r\n"
CHUNKED: Final = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n"
TOO_LARGE: Final = 9_000_000

MALFORMED_CHUNKS: Final = {
    "no size": ";\r\nabc\r\n0\r\n\r\n",
    "a size that is no number": "zz\r\nabc\r\n0\r\n\r\n",
    "a negative size": "-3\r\nabc\r\n0\r\n\r\n",
    "a size with a prefix": "0x3\r\nabc\r\n0\r\n\r\n",
    "a size with an underscore": "1_0\r\nabc\r\n0\r\n\r\n",
    "a chunk longer than its size": "3\r\nabcdef\r\n0\r\n\r\n",
    "an endless size": "1" * 5000,
    "an extension that is none": "3;\x01\r\nabc\r\n0\r\n\r\n",
}
HEADS: Final = {
    "a request line that is too long": (f"GET /{'a' * 9000} HTTP/1.1\r\n{HEAD}\r\n", 414),
    "a request line that has no end": ("GET /" + "a" * 40_000, 414),
    "headers that are too large": (f"GET / HTTP/1.1\r\n{HEAD}X: {'a' * 40_000}\r\n\r\n", 431),
    "headers that have no end": (f"GET / HTTP/1.1\r\n{HEAD}" + "X: 1\r\n" * 9_000, 431),
    "an address that is none": ("GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "two framings": (f"POST / HTTP/1.1\r\nContent-Length: 3\r\n{CHUNKED}0\r\n\r\n", 400),
    "two lengths": (f"POST / HTTP/1.1\r\n{HEAD}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}", 400),
    "a length with a sign": (f"POST / HTTP/1.1\r\n{HEAD}Content-Length: +2\r\n\r\n{{}}", 400),
    "chunks in HTTP/1.0": (f"POST / HTTP/1.0\r\nConnection: keep-alive\r\n{CHUNKED}0\r\n\r\n", 400),
    "another version": (f"GET / HTTP/3.0\r\n{HEAD}\r\n", 400),
    "no version": ("GET /\r\n\r\n", 400),
    "another coding": (f"POST / HTTP/1.1\r\n{HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "no HTTP at all": ("\x00\x01\x02\r\n\r\n", 400),
    "a space before a colon": ("GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
    "a line feed alone": ("GET / HTTP/1.1\r\nHost: localhost\nX: 1\r\n\r\n", 400),
}


@pytest.mark.parametrize("path", ["/api/v1/groups", "/login/"])
@pytest.mark.parametrize("body", MALFORMED_CHUNKS.values(), ids=MALFORMED_CHUNKS)
def test_malformed_chunks_are_answered_400(web: Site, body: str, path: str) -> None:
    answer = web.answer(f"POST {path} HTTP/1.1\r\n{CHUNKED}{body}")
    assert answer.startswith(b"HTTP/1.1 400")
    assert (b"application/problem+json" in answer) == path.startswith("/api/")
    assert b"Traceback" not in answer


@pytest.mark.parametrize(("text", "status"), HEADS.values(), ids=HEADS)
def test_a_head_that_cannot_be_served_is_answered(web: Site, text: str, status: int) -> None:
    answer = web.answer(text)
    assert answer.split(b" ")[1] == str(status).encode()
    assert re.search(rb"(?i)connection: close", answer)
    assert len(re.findall(rb"(?m)^HTTP/1", answer)) == 1, "what follows is not taken for a request"


@pytest.mark.parametrize("path", ["/api/v1/groups", "/api/v1/groups/g/timers/bulk", "/login/", "/livez"])
@pytest.mark.parametrize("framing", [f"Content-Length: {TOO_LARGE}", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\r\n"], ids=["sent", "announced"])
def test_a_body_that_is_too_large_is_answered_413_and_not_reset(
    web: Site, path: str, framing: str, expect: str
) -> None:
    start = f"POST {path} HTTP/1.1\r\n{HEAD}{expect}{framing}\r\n\r\n"
    with web.connected(start + (f"{TOO_LARGE:x}\r\n" if "chunked" in framing else "")) as sender:
        sender.sendall(b"x" * TOO_LARGE)
        answer = b""
        while chunk := sender.recv(65536):
            answer += chunk
    answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")
    assert (b"application/problem+json" in answer) == path.startswith("/api/")
