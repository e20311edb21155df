"""Exchange: request and response of one HTTP call and the duration of each step, as the ledger stores them.

Credentials are masked before anything is cut; bodies are kept up to a limit, as text that can be stored.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, Final

from timers.domain.payload import storable
from timers.worker.masking import Masking

KEPT_BYTES: Final = 8 * 1024
"""Maximum bytes that are kept of each body."""
KEPT_HEADERS: Final = 50
KEPT_HEADER_CHARACTERS: Final = 500
_DECODERS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class Timing:
    """When each step of a call began, by time.monotonic(); a step that did not take place has no mark."""

    __slots__ = ("began", "connected", "connecting", "ended", "handshaking", "headers", "looking_up")

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.looking_up = self.connecting = self.handshaking = self.connected = self.headers = self.ended = 0.0

    def in_milliseconds(self) -> dict[str, float]:
        """Return the duration of each step; `first_byte` is from the start until the response headers arrived."""
        end = self.ended or time.monotonic()
        steps = {
            "dns": _between(self.looking_up, self.connecting or self.connected),
            "connect": _between(self.connecting, self.handshaking or self.connected),
            "tls": _between(self.handshaking, self.connected),
            "first_byte": _between(self.began, self.headers),
            "total": end - self.began,
        }
        return {name: round(seconds * 1000, 3) for name, seconds in steps.items() if seconds is not None}


class Exchange:
    """Filled in during a call, so that a call stopped at its limit shows how far it got."""

    __slots__ = ("address", "masking", "request", "response", "timing")

    def __init__(self) -> None:
        self.request: dict[str, Any] = {}
        self.response: dict[str, Any] | None = None
        self.timing = Timing()
        self.address = ""
        self.masking = Masking()

    def connecting_to(self, address: str) -> None:
        """Record an attempt to connect to this address; if a name has several, the last one is kept."""
        self.address = address
        self.timing.connecting = self.timing.connecting or time.monotonic()

    def handshaking(self) -> None:
        """Record that the connection is established, and TLS begins."""
        self.timing.handshaking = time.monotonic()

    def sent(
        self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes | None, *, proxy: str | None
    ) -> None:
        """Record the request that is about to be sent."""
        mask = self.masking.text
        self.request = {
            "method": method,
            "url": mask(url),
            "headers": {mask(name): mask(value) for name, value in headers},
        }
        if proxy is not None:
            self.request["proxy"] = mask(proxy)
        if body is not None:
            self.request |= self._body(body, whole=len(body) <= KEPT_BYTES)

    def answered(self, status: int, phrase: str, headers: Iterable[tuple[str, str]], *, keep: bool) -> None:
        """Record the head of the response; `phrase` is masked already."""
        self.response = {"status": status, "phrase": storable(phrase)[:KEPT_HEADER_CHARACTERS]}
        if keep:
            self.response["headers"] = {
                self._header_text(name): self._header_text(value)
                for name, value in list(headers)[:KEPT_HEADERS]
                if name.lower() not in ("set-cookie", "set-cookie2")
            }

    def answer_body(self, body: bytes, *, whole: bool, encoding: str) -> None:
        """Record the beginning of the response body and what `masking` must see beyond it.

        Args:
            body: the beginning of the body.
            whole: whether that is the whole body.
            encoding: its content encoding; empty: none.
        """
        if self.response is not None:
            if encoding in _DECODERS:
                body, whole = _inflated(body, encoding, whole, KEPT_BYTES + self.masking.reach)
            self.response |= self._body(body, whole=whole)

    def _header_text(self, text: str) -> str:
        return storable(self.masking.text(text))[:KEPT_HEADER_CHARACTERS]

    def _body(self, content: bytes, *, whole: bool) -> dict[str, Any]:
        """Return the first bytes as text; the cut comes last, so that no part of a masked secret remains."""
        seen = content[: KEPT_BYTES + self.masking.reach].decode("utf-8", "replace")
        kept = storable(self.masking.text(seen)).encode()[:KEPT_BYTES].decode("utf-8", "ignore")
        return {"body": kept} if whole and len(content) <= KEPT_BYTES else {"body": kept, "cut": True}

    def text(self) -> str:
        """Return the exchange as JSON, for the ledger."""
        value: dict[str, Any] = {
            "request": self.request,
            "response": self.response,
            "timing_ms": self.timing.in_milliseconds(),
        }
        if self.address:
            value["address"] = self.address
        return json.dumps(value, ensure_ascii=False)


exchange_now: ContextVar[Exchange | None] = ContextVar("timers_http_exchange", default=None)
"""The exchange of the call that runs in this context; the connector's own tasks share it."""


def _between(start: float, end: float) -> float | None:
    return end - start if start and end else None


def _inflated(content: bytes, encoding: str, whole: bool, most: int) -> tuple[bytes, bool]:
    """Return at most this many decompressed bytes: a few bytes may expand to gigabytes."""
    decoder = zlib.decompressobj(_DECODERS[encoding])
    try:
        plain = decoder.decompress(content, most)
    except zlib.error:
        return content, whole
    return plain, whole and decoder.eof
