"""The listening sockets of a web process, and the time limits of its connections."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer, UnixWSGIServer

from timerproject.web.channel import BoundedChannel


class BoundedServer:
    """Base of both kinds of listening socket."""

    channel_class = BoundedChannel
    access_log: Callable[..., None] | None = None
    is_stopping = False
    adj: Adjustments
    active_channels: dict[int, BoundedChannel]
    in_connection_overflow: bool

    def maintenance(self, now: float) -> None:
        """End late connections; if no more connections are accepted, make room. Called by waitress every second."""
        at = time.monotonic()
        channels = list(self.active_channels.values())
        for channel in channels:
            channel.end_if_late(at)
        if self.in_connection_overflow:
            waiting = sorted((channel for channel in channels if channel.is_waiting), key=lambda channel: channel.since)
            for channel in waiting[: (len(waiting) + 1) // 2]:
                channel.will_close = True


class TcpServer(BoundedServer, TcpWSGIServer):  # type: ignore[misc]
    """A listening socket of an address and a port."""


class UnixServer(BoundedServer, UnixWSGIServer):  # type: ignore[misc]
    """A listening socket in the file system."""

    def fix_addr(self, addr: Any) -> tuple[str, None]:
        """Return an empty peer address: Unix sockets have none."""
        return "", None
