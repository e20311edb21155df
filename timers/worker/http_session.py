"""The session that all calls of a worker share: a pool of connections, opened by the egress guard's rules."""

from __future__ import annotations

import ssl
import time
from collections import OrderedDict
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

import aiohttp

from timers.actions.egress import Egress
from timers.worker.guarded_resolver import GuardedResolver
from timers.worker.http_exchange import exchange_now

KEEP_ALIVE_SECONDS: Final = 15.0
DNS_SECONDS: Final = 10
"""Seconds for which a checked response of the name servers is cached."""
MAX_HEADERS: Final = 100
MAX_HEADER_BYTES: Final = 8190
READ_BYTES: Final = 16 * 1024
CONTEXTS: Final = 100
"""Maximum number of cached TLS contexts, one for each bundle of certificates."""


class TimedContext(ssl.SSLContext):
    """Records when the handshake of the current call begins."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        exchange = exchange_now.get()
        if exchange is not None:
            exchange.handshaking()
        return super().wrap_bio(*args, **kwargs)


class TlsContexts:
    """One context for each set of trusted certificates: connections with the same set are shared."""

    def __init__(self) -> None:
        self._made: OrderedDict[str | bool | None, TimedContext] = OrderedDict()

    def trusting(self, certificates: str | None, *, anyone: bool = False) -> TimedContext:
        """Return a context that trusts these certificates (PEM); None: the system's. `anyone`: no verification."""
        key = False if anyone else certificates
        context = self._made.get(key)
        if context is None:
            context = self._made[key] = TimedContext(ssl.PROTOCOL_TLS_CLIENT)
            if anyone:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            elif certificates is None:
                context.load_default_certs()
            else:
                context.load_verify_locations(cadata=certificates)
            if len(self._made) > CONTEXTS:
                self._made.popitem(last=False)
        self._made.move_to_end(key)
        return context


@dataclass(frozen=True, slots=True)
class Outlet:
    """A session, and the guard that checks its connections."""

    session: aiohttp.ClientSession
    resolver: GuardedResolver


def open_outlet(rules: Egress) -> Outlet:
    """Open a session without cookies, proxies of the environment, decompression, or own limits on time and number."""
    resolver = GuardedResolver(rules)
    connector = aiohttp.TCPConnector(
        resolver=resolver,
        socket_factory=resolver.open_socket,
        limit=0,
        limit_per_host=0,
        ttl_dns_cache=DNS_SECONDS,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=READ_BYTES,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        max_headers=MAX_HEADERS,
        trace_configs=[_marks()],
    )
    return Outlet(session, resolver)


def _marks() -> aiohttp.TraceConfig:
    """Return a trace configuration that records when a connection was requested and when it was established."""

    async def begins(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
        context.trace_request_ctx.exchange.timing.looking_up = time.monotonic()

    async def is_there(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
        context.trace_request_ctx.exchange.timing.connected = time.monotonic()

    async def is_reused(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
        context.trace_request_ctx.is_reused = True

    config = aiohttp.TraceConfig()
    config.on_connection_create_start.append(begins)
    config.on_connection_create_end.append(is_there)
    config.on_connection_reuseconn.append(is_reused)
    return config
