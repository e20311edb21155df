"""gunicorn's worker class for the service: gunicorn starts, watches and stops the processes, waitress serves in them.

A request is given a thread when it has arrived completely, and the thread is free again when the response is generated,
not when it is sent: slow senders and readers hold only a connection, and for a limited time.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any, Final

from gunicorn.errors import ConfigError
from gunicorn.workers.base import Worker
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.task import ThreadedTaskDispatcher

from timerproject.web.parser import MAX_HEAD
from timerproject.web.server import TcpServer, UnixServer

MAX_BODY: Final = 8 * 1024 * 1024 + 1
"""The smallest body length that waitress refuses: no address accepts it. The service has lower limits for most."""
ON_DISK_FROM: Final = 512 * 1024
"""Bytes of a body from which on it is stored in a temporary file."""
ANSWERS_AHEAD: Final = 64 * 1024 * 1024
"""Bytes of a response that are buffered, on disk from the first megabyte on, before its thread waits for the reader."""
STOP_LINGER: Final = 2.0
"""Seconds that a stopping process keeps idle connections, for a request that may be on its way."""

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class BufferingWorker(Worker):  # type: ignore[misc]
    """One web process."""

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:  # noqa: ARG003 - as gunicorn calls it
        """Raise ConfigError for options that this class does not support."""
        if cfg.is_ssl:
            raise ConfigError("certfile: this worker class does not speak TLS. Put a proxy that ends TLS in front.")

    def run(self) -> None:
        """Serve until the process is asked to stop."""
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a request that waits for a thread is normal
        self._map: dict[int, Any] = {}
        dispatcher = ThreadedTaskDispatcher()
        dispatcher.set_thread_count(self.cfg.threads)
        self._servers = [self._server(listener.sock, dispatcher) for listener in self.sockets]
        while self.alive and self._parent_lives():
            self._serve(1.0)
        self._drain()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Stop on SIGTERM, after the current requests are served."""
        self.alive = False
        for server in self._servers[:1]:
            server.pull_trigger()

    def _server(self, sock: socket.socket, dispatcher: ThreadedTaskDispatcher) -> Any:
        kind = UnixServer if sock.family == socket.AF_UNIX else TcpServer
        info = (sock.family, sock.type, sock.proto, sock.getsockname())
        server = kind(
            self._application(), self._map, True, sock,
            dispatcher=dispatcher, adj=self._adjustments(), bind_socket=False, sockinfo=info,
        )  # fmt: skip
        server.access_log = self.log.access if self.log.access_log_enabled else None
        return server

    def _adjustments(self) -> Adjustments:
        return Adjustments(
            backlog=self.cfg.backlog,
            connection_limit=self.cfg.worker_connections,
            channel_timeout=self.cfg.keepalive,
            cleanup_interval=1,
            max_request_header_size=MAX_HEAD,
            max_request_body_size=MAX_BODY,
            inbuf_overflow=ON_DISK_FROM,
            outbuf_high_watermark=ANSWERS_AHEAD,
            recv_bytes=65_536,
            # The service decides which client addresses it trusts, by TIMERS_TRUSTED_PROXIES.
            clear_untrusted_proxy_headers=False,
            log_socket_errors=False,
            ident="gunicorn",
        )

    def _application(self) -> Application:
        """Return the service with the https flag of trusted proxies; counts requests for gunicorn's `max_requests`."""
        service, networks = self.wsgi, self.cfg.forwarded_allow_networks()
        all_trusted = "*" in self.cfg.forwarded_allow_ips
        secure = [("HTTP_" + name.replace("-", "_"), value) for name, value in self.cfg.secure_scheme_headers.items()]

        def is_trusted(address: str) -> bool:
            return all_trusted or not address or any(ip_address(address) in network for network in networks)

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            self.nr += 1
            if self.nr >= self.max_requests:
                self.alive = False
            said = {environ[name] == value for name, value in secure if name in environ}
            if said == {True} and is_trusted(environ["REMOTE_ADDR"]):
                environ["wsgi.url_scheme"] = "https"
            answer: Iterable[bytes] = service(environ, start_response)
            return answer

        return application

    def _parent_lives(self) -> bool:
        return bool(self.ppid == os.getppid())

    def _serve(self, seconds: float) -> None:
        """Read, write and accept once; wait at most this many seconds."""
        self.notify()
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._map, count=1)

    def _drain(self) -> None:
        """Accept no more connections, and serve the received requests, within gunicorn's graceful timeout."""
        for server in self._servers:
            server.accepting, server.is_stopping = False, True
        began = time.monotonic()
        while time.monotonic() - began < self.cfg.graceful_timeout:
            channels = [channel for server in self._servers for channel in server.active_channels.values()]
            if time.monotonic() - began > STOP_LINGER:
                channels = [channel for channel in channels if not channel.is_waiting]
            if not channels:
                break
            self._serve(0.1)
