"""One connection, with time limits for each part of receiving a request and sending a response."""

from __future__ import annotations

import contextlib
import socket
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final

from waitress.channel import HTTPChannel
from waitress.task import WSGITask

from timerproject.web.parser import BoundedParser
from timerproject.web.refusal import timed_out

HEAD_WITHIN: Final = 10.0
"""Seconds from the first byte, or from the connection, until the headers are complete."""
SILENCE: Final = 10.0
"""Seconds without a further byte after which a body is abandoned."""
BODY_WITHIN: Final = 20.0
"""Seconds that a whole request may take, plus more while its body arrives at BODY_RATE."""
BODY_RATE: Final = 10_000.0
"""Bytes per second."""
ANSWER_SILENCE: Final = 30.0
"""Seconds without the client reading a byte of the response."""
ANSWER_WITHIN: Final = 300.0
"""Seconds until the whole response is read."""
LINGER: Final = 2.0
"""Seconds that a refused sender is still read from, so that it receives the response and not a connection reset."""


class RequestTask(WSGITask):  # type: ignore[misc]
    """One request processed by a thread; writes a line to gunicorn's access log if that is on."""

    def execute(self) -> None:
        """Call the service and write its response."""
        log = self.channel.server.access_log
        if log is None:
            super().execute()
            return
        began = time.monotonic()
        try:
            super().execute()
        finally:
            answer = SimpleNamespace(status=self.status, headers=self.response_headers, sent=self.content_bytes_written)
            environ = self.get_environment()
            environ["RAW_URI"] = self.request.request_uri
            log(answer, self.request, environ, timedelta(seconds=time.monotonic() - began))

    def build_response_header(self) -> bytes:
        """Return status line and headers; a stopping process announces that it closes the connection."""
        if self.channel.server.is_stopping:
            self.set_close_on_finish()
        head: bytes = super().build_response_header()
        return head


class BoundedChannel(HTTPChannel):  # type: ignore[misc]
    """waitress's channel, which reads requests and writes responses without a thread, with time limits for both."""

    parser_class = BoundedParser
    task_class = RequestTask
    # Declared for the type checker; waitress sets them.
    will_close: bool
    close_when_flushed: bool
    request: Any

    def __init__(self, *given: Any, **named: Any) -> None:
        self.since = self.heard_at = time.monotonic()
        self.keep_for = HEAD_WITHIN
        self.refused = False
        self.lingers_until: float | None = None
        super().__init__(*given, **named)

    def received(self, data: bytes) -> bool:
        """Process received data."""
        self.heard_at = time.monotonic()
        before = self.request
        taken: bool = super().received(data)
        if self.request is not None and self.request is not before:
            self.since = self.heard_at
        return taken

    def service(self) -> None:
        """Serve a request, in a thread."""
        self.refused = self.refused or self.requests[0].error is not None
        self.keep_for = float(self.adj.channel_timeout)
        super().service()

    def write_soon(self, data: Any) -> int:
        """Queue a part of the response, from a thread."""
        self.since = time.monotonic()
        return int(super().write_soon(data))

    def end_if_late(self, now: float) -> None:
        """Close the connection, or refuse its request, when its time limit has passed."""
        if self.lingers_until is not None:
            self.will_close = self.will_close or now > self.lingers_until
        elif self.total_outbufs_len:
            is_silent = time.time() - self.last_activity > ANSWER_SILENCE
            self.will_close = self.will_close or is_silent or (not self.requests and now - self.since > ANSWER_WITHIN)
        elif self.requests or self.will_close or self.close_when_flushed:
            pass
        elif self.request is None:
            self.will_close = now - self.since > self.keep_for
        elif not self.request.headers_finished:
            if now - self.since > HEAD_WITHIN:
                self._give_up(f"The headers took more than {HEAD_WITHIN:g} s.")
        elif now - self.heard_at > SILENCE:
            self._give_up(f"No more of the body came for {SILENCE:g} s.")
        elif now - self.since > BODY_WITHIN + self.request.body_bytes_received / BODY_RATE:
            self._give_up(f"After {BODY_WITHIN:g} s a body must come at {BODY_RATE:,.0f} bytes per second or more.")

    @property
    def is_waiting(self) -> bool:
        """Whether the channel only waits for the sender."""
        return not self.requests and not self.total_outbufs_len

    def readable(self) -> bool:
        """Return whether more data can be received."""
        return self.lingers_until is not None or bool(super().readable())

    def handle_read(self) -> None:
        """Read the available data; discard that of a refused sender."""
        if self.lingers_until is None:
            super().handle_read()
            return
        try:
            self.recv(self.adj.recv_bytes)
        except OSError:
            self.handle_close()

    def handle_write(self) -> None:
        """Write what can be written; then shut down the sending side to a refused sender, and read until it closes."""
        if self.refused and self.close_when_flushed and not self.will_close:
            self._flush_exception(self._flush_some)
            if not self.total_outbufs_len and not self.will_close and self.lingers_until is None:
                self.close_when_flushed = False
                self.lingers_until = time.monotonic() + LINGER
                with contextlib.suppress(OSError):
                    self.socket.shutdown(socket.SHUT_WR)
                return
        super().handle_write()

    def _give_up(self, reason: str) -> None:
        with self.requests_lock:
            request, self.request = self.request, None
            request.error = timed_out(reason, request.path)
            request.expect_continue = False
            request.completed = True
            self.requests.append(request)
        self.server.add_task(self)
