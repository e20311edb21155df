"""Parse one request: waitress's parser, strict where two parsers of one request could disagree, and with limits."""

from __future__ import annotations

from typing import Final

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import (
    BadRequest,
    Error,
    RequestEntityTooLarge,
    RequestHeaderFieldsTooLarge,
    ServerNotImplemented,
)

from timerproject.web.refusal import Refusal

MAX_REQUEST_LINE: Final = 8190
"""Bytes. A group and a timer can have names of 200 characters, of up to twelve bytes each in a URL."""
MAX_HEAD: Final = 32 * 1024
"""Bytes of the request line and all headers."""
MAX_CHUNK_LINE: Final = 1024
"""Bytes of the line before a chunk; waitress searches the whole line again for each byte that arrives."""

_REASONS: Final = {
    RequestHeaderFieldsTooLarge: f"The headers may have at most {MAX_HEAD:,} bytes.",
    RequestEntityTooLarge: "The body is too large.",
    ServerNotImplemented: "Transfer-Encoding: only chunked is supported.",
}


class BoundedParser(HTTPRequestParser):  # type: ignore[misc]
    """Parser of one request of a connection. Any error ends the request and sets `error`, which has the response."""

    path = ""
    error: Error | None

    def received(self, data: bytes) -> int:
        """Process received data; return how many bytes belong to this request."""
        consumed: int = super().received(data)
        if self.chunked and not self.completed:
            self._bound_chunk_lines()
        if isinstance(self.error, RequestHeaderFieldsTooLarge) and _first_line(self.header_plus + data) is None:
            self.error = _uri_too_long()
        if self.error is not None:
            # Otherwise the sender is asked to continue with the body of a request that is refused.
            self.expect_continue = False
            self.error = _worded(self.error, self.path)
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        """Parse request line and headers; raises ParsingError."""
        if _first_line(header_plus) is None:
            self.error = _uri_too_long()
            return
        try:
            super().parse_header(header_plus)
        except ValueError:
            raise ParsingError("The address is malformed.") from None
        if self.version not in {"1.0", "1.1"}:
            raise ParsingError("Only HTTP/1.1 and HTTP/1.0 are spoken here.")
        # RFC 9112, 6.1 and 6.3: refuse what a proxy in front could parse differently.
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Content-Length and Transfer-Encoding exclude each other.")
        if "TRANSFER_ENCODING" in self.headers:
            raise ParsingError("HTTP/1.0 has no Transfer-Encoding.")

    def _bound_chunk_lines(self) -> None:
        receiver = self.body_rcv
        if len(receiver.control_line) > MAX_CHUNK_LINE or len(receiver.trailer) > MAX_HEAD:
            self.error = BadRequest("The body's chunks are malformed.")
            self.completed = True


def _first_line(head: bytes) -> bytes | None:
    """Return the request line; None if it is longer than the limit."""
    line, _, _ = head.lstrip(b"\r\n")[: MAX_REQUEST_LINE + 1].partition(b"\r\n")
    return line if len(line) <= MAX_REQUEST_LINE else None


def _uri_too_long() -> Refusal:
    return Refusal(414, "URI Too Long", f"The request line may have at most {MAX_REQUEST_LINE:,} bytes.")


def _worded(error: Error, path: str) -> Refusal:
    if isinstance(error, Refusal):
        return error
    body = _REASONS.get(type(error), f"The request is malformed: {error.body}")
    return Refusal(error.code, error.reason, body, path)
