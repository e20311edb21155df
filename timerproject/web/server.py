"""The listening sockets of a web process, and its connections' time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer, UnixWSGIServer

from timerproject.web.channel import BoundedChannel


class BoundedServer:
    """What both kinds of socket have in common."""

    channel_class = BoundedChannel
    access_log: Callable[..., None] | None = None
    is_stopping = False
    adj: Adjustments
    active_channels: dict[int, BoundedChannel]
    in_connection_overflow: bool

    def maintenance(self, now: float) -> None:
        """Called by waitress every second: end what is late. Where no connection more is taken, make room."""
        at = time.monotonic()
        channels = list(self.active_channels.values())
        for channel in channels:
            channel.end_if_late(at)
        if self.in_connection_overflow:
            waiting = sorted((channel for channel in channels if channel.is_waiting), key=lambda channel: channel.since)
            for channel in waiting[: (len(waiting) + 1) // 2]:
                channel.will_close = True


class TcpServer(BoundedServer, TcpWSGIServer):  # type: ignore[misc]
    """A socket of an address and a port."""


class UnixServer(BoundedServer, UnixWSGIServer):  # type: ignore[misc]
    """A socket in the file system."""

    def fix_addr(self, addr: Any) -> tuple[str, None]:
        """Return the peer's address: there is none."""
        return "", None
