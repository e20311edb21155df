"""One attempt of an http action: the request, the response, and whether that is a success.

It takes no longer than its limit, which the event loop enforces, and no more than a few kilobytes, whatever the target
does. Redirects are not followed; cookies are neither kept nor sent.
"""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from yarl import URL

from timers.actions.egress import Egress
from timers.actions.http import HttpAction
from timers.actions.http_content import Unfillable, encode_content
from timers.actions.signing import PREFIX, signature, signing_key
from timers.clock import DatabaseClock
from timers.engine.secret_values import SecretValue
from timers.handlers import Directive, Fire
from timers.models import Secret
from timers.schedules.instant import from_microseconds
from timers.version import VERSION
from timers.worker.attempts import CallFailed
from timers.worker.http_exchange import KEPT_BYTES, Exchange, exchange_now
from timers.worker.http_faults import of_error, of_status
from timers.worker.http_session import Outlet, TlsContexts, open_outlet
from timers.worker.masking import Masking
from timers.worker.masking_cache import masking
from timers.worker.remote_handler_answer import result_of, title_of
from timers.worker.secret_cache import SecretCache

READ_BYTES: Final = 64 * 1024
"""Maximum bytes of a response body that are read; if there is more, the connection is closed."""
REFUSAL_SECONDS: Final = 2.0
"""Maximum seconds to wait for the body of an error response."""
RENEWED_SECONDS: Final = 60.0
"""Seconds after which the addresses at which the installation itself listens are looked up again."""
USER_AGENT: Final = f"distributed-timers/{VERSION}"
STALE_CONNECTIONS: Final = 3
"""Maximum number of kept connections that may turn out to be closed by the target before the attempt fails."""


class HttpCalls:
    """Makes calls on one event loop; the first call opens the session."""

    def __init__(
        self, clock: DatabaseClock, *, rules: Egress | None = None, secrets: SecretCache | None = None
    ) -> None:
        self._clock = clock
        self._rules = rules or Egress.in_force()
        self._renew_at = time.monotonic() + RENEWED_SECONDS if rules is None else math.inf
        self._secrets = secrets or SecretCache()
        self._contexts = TlsContexts()
        self._outlet: Outlet | None = None
        self._endpoint_outlet: Outlet | None = None

    async def call(self, action: HttpAction, fire: Fire, exchange: Exchange) -> Any:
        """Make the call and fill in the exchange.

        Return on success, with the handler's result if the handler endpoint is called. Raise CallFailed for any other
        result, or the directive that the target sends instead (Discard, Snooze).
        """
        exchange_now.set(exchange)
        if time.monotonic() >= self._renew_at:
            await self._renew_rules()
        try:
            self._check(action)
            secrets = await self._secrets_for(action, fire)
            body = _body(action, fire)
            headers, credentials = self._headers(action, fire, body, secrets)
            exchange.masking = masking(frozenset(_known_secrets(secrets)) | credentials)
            proxy = None if action.entry_key else action.proxy or self._rules.proxy
            exchange.sent(action.method, action.target.url, headers, body, proxy=None if proxy is None else proxy.url)
            options: dict[str, Any] = {
                "method": action.method,
                "url": URL(action.target.url, encoded=True),
                "headers": headers,
                "data": body,
                "allow_redirects": False,
                "proxy": None if proxy is None else URL(proxy.url, encoded=True),
                "ssl": self._contexts.trusting(_certificates(action, secrets), anyone=action.ignore_tls_errors),
            }
            await self._check_name_behind_proxy(action)
            answer = await self._send(action, options, exchange)
        except (CallFailed, Directive):
            raise
        except Exception as error:
            failed = of_error(action, error, exchange.masking.text)
            if failed is None:
                raise
            raise failed from error
        finally:
            exchange.timing.ended = time.monotonic()
        return result_of(_masked(answer, exchange.masking)) if action.entry_key else None

    async def close(self) -> None:
        """Close the connections."""
        self._secrets.close()
        for outlet in (self._outlet, self._endpoint_outlet):
            if outlet is not None:
                await outlet.session.close()

    async def _renew_rules(self) -> None:
        self._renew_at = time.monotonic() + RENEWED_SECONDS
        self._rules = await asyncio.to_thread(Egress.in_force)
        if self._outlet is not None:
            self._outlet.resolver.rules = self._rules

    def _check(self, action: HttpAction) -> None:
        """Apply the checks of the guard that need no look-up; the action may have been saved under other settings."""
        if action.entry_key:
            return
        reason = self._rules.why_refused_target(action.target)
        if reason is None and action.proxy is not None:
            reason = self._rules.why_refused_proxy(action.proxy)
        if reason is not None:
            raise CallFailed(f"not called: {reason}", action.target.place, "egress", permanent=True)

    async def _check_name_behind_proxy(self, action: HttpAction) -> None:
        """Check that a user's proxy does not lead to a blocked target.

        Names that this host cannot resolve are left to the proxy.
        """
        if action.proxy is not None and action.target.address is None:
            with suppress(socket.gaierror):
                await self._opened(action).resolver.resolve(action.target.host)

    async def _send(self, action: HttpAction, options: dict[str, Any], exchange: Exchange) -> bytes:
        session = self._opened(action).session
        for attempt in range(STALE_CONNECTIONS + 1):
            noted = SimpleNamespace(exchange=exchange, is_reused=False)
            try:
                async with session.request(**options, trace_request_ctx=noted) as answer:
                    return await self._take(action, answer, exchange)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # A kept connection that the target closed while it was idle says nothing about the target.
                if exchange.response is not None or not noted.is_reused or attempt == STALE_CONNECTIONS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _take(self, action: HttpAction, answer: aiohttp.ClientResponse, exchange: Exchange) -> bytes:
        """Return the beginning of the response body if the response is a success; raise otherwise."""
        exchange.timing.headers = time.monotonic()
        exchange.address = _peer(answer) or exchange.address
        phrase = exchange.masking.text(answer.reason or "")
        exchange.answered(answer.status, phrase, answer.headers.items(), keep=action.keep_response)
        if action.is_success(answer.status):
            return await self._take_body(action, answer, exchange)
        # The head of an error response contains the reason; a missing body must not hide it.
        kept = b""
        with suppress(aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(REFUSAL_SECONDS):
                kept = await self._take_body(action, answer, exchange)
        title = title_of(_masked(kept, exchange.masking)) if action.entry_key else ""
        raise of_status(action, answer.status, phrase, answer.headers, self._clock.now_us() / 1_000_000, title=title)

    async def _take_body(self, action: HttpAction, answer: aiohttp.ClientResponse, exchange: Exchange) -> bytes:
        kept, whole = await _read(answer, KEPT_BYTES + exchange.masking.reach)
        if action.keep_response:
            exchange.answer_body(kept, whole=whole, encoding=answer.headers.get("Content-Encoding", "").strip().lower())
        return kept

    def _opened(self, action: HttpAction) -> Outlet:
        # Separate: a kept connection to the handler endpoint must not carry other calls past the guard.
        if action.entry_key:
            self._endpoint_outlet = self._endpoint_outlet or open_outlet(Egress.open())
            return self._endpoint_outlet
        self._outlet = self._outlet or open_outlet(self._rules)
        return self._outlet

    async def _secrets_for(self, action: HttpAction, fire: Fire) -> dict[str, SecretValue]:
        wanted = action.secrets()
        if not wanted:
            return {}
        try:
            found = await self._secrets.get([name for _, name, _ in wanted])
        except Exception as error:
            raise CallFailed("not called: its secrets cannot be read now", action.target.place, "secret") from error
        usable: dict[str, SecretValue] = {}
        for _, name, kind in wanted:
            secret = found[name]
            if not isinstance(secret, SecretValue):
                raise _unusable(action, secret or f"there is no secret {name!r}")
            reason = secret.why_not_for(kind, fire.group, fire.group_id, action.target.host)
            if reason is not None:
                raise _unusable(action, reason)
            usable[name] = secret
        return usable

    def _headers(
        self, action: HttpAction, fire: Fire, body: bytes | None, secrets: dict[str, SecretValue]
    ) -> tuple[list[tuple[str, str]], frozenset[str]]:
        """Return all headers that this service sets, and the secret texts in them."""
        now_us = self._clock.now_us()
        headers = list(action.headers)
        given = {name.lower() for name, _ in headers}
        usual = (("User-Agent", USER_AGENT), ("Accept", "*/*"), ("Accept-Encoding", "identity"))
        headers += [(name, value) for name, value in usual if name.lower() not in given]
        if body is not None and "content-type" not in given:
            headers.append(("Content-Type", "application/json"))
        headers += [
            ("webhook-id", fire.execution_id),
            ("webhook-timestamp", str(now_us // 1_000_000)),
            ("timer-fence", str(fire.fence)),
            ("timer-attempt", str(fire.number_of_try)),
        ]
        if action.sign is not None:
            keys = secrets[action.sign].signing_keys(from_microseconds(now_us))
            headers.append(("webhook-signature", signature(keys, fire.execution_id, now_us // 1_000_000, body or b"")))
        if action.entry_key:
            bearer = f"Bearer {action.entry_key}"
            return [*headers, ("Authorization", bearer)], frozenset({action.entry_key})
        if action.auth is None:
            return headers, frozenset()
        secret = secrets[action.auth.secret].value
        try:
            name, value = action.auth.header(secret)
        except ValueError as error:
            raise _unusable(action, f"the secret {action.auth.secret!r} cannot be sent: {error}") from None
        return [*headers, (name, value)], frozenset({secret, value.rpartition(" ")[2]})


def _unusable(action: HttpAction, reason: str) -> CallFailed:
    return CallFailed(f"not called: {reason}", action.target.place, "secret")


def _body(action: HttpAction, fire: Fire) -> bytes | None:
    try:
        if action.content is not None:
            return encode_content(action.content.fill(fire.envelope()))
        return encode_content(fire.envelope()) if action.sends_envelope else None
    except Unfillable as error:
        raise CallFailed(f"not called: {error}", action.target.place, "content", permanent=True) from None


def _certificates(action: HttpAction, secrets: dict[str, SecretValue]) -> str | None:
    return action.ca_bundle if action.ca_secret is None else secrets[action.ca_secret].value


def _known_secrets(secrets: dict[str, SecretValue]) -> Iterator[str]:
    """Yield the values that the call uses, and those that they replaced; certificates are public."""
    for secret in secrets.values():
        if secret.kind != Secret.Kind.CERTIFICATES:
            for value in filter(None, (secret.value, secret.previous)):
                yield value
                if secret.kind == Secret.Kind.SIGNING:
                    yield value.removeprefix(PREFIX)
                    yield signing_key(value).hex()


def _masked(content: bytes, known: Masking) -> bytes:
    return known.text(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


async def _read(answer: aiohttp.ClientResponse, most: int) -> tuple[bytes, bool]:
    """Return the beginning of the body (`most` bytes), and whether that is all.

    A body longer than READ_BYTES closes the connection.
    """
    kept, size = b"", 0
    while size < READ_BYTES:
        chunk = await answer.content.read(READ_BYTES - size)
        if not chunk:
            return kept, size <= KEPT_BYTES
        size += len(chunk)
        if len(kept) < most:
            kept += chunk[: most - len(kept)]
    answer.close()
    return kept, False


def _peer(answer: aiohttp.ClientResponse) -> str:
    """Return the address that responds; a short response has released its connection already."""
    transport = None if answer.connection is None else answer.connection.transport
    peer = None if transport is None else transport.get_extra_info("peername")
    return "" if peer is None else str(peer[0])
