"""Errors of a call as text, and what follows from them for the next attempt."""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from random import random
from typing import Final

import aiohttp
from aiohttp import http_exceptions

from timers.actions.egress import EgressRefused
from timers.actions.http import HttpAction
from timers.domain.payload import storable
from timers.domain.policies import MAX_SECONDS
from timers.handlers import Discard, Snooze
from timers.worker.attempts import CallFailed

SHORTEST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 3600.0
SPREAD: Final = 0.1
"""Waits that a target requests are lengthened by up to this fraction, so that not all rejected calls return at once."""

GONE: Final = 410


def of_status(
    action: HttpAction, status: int, phrase: str, headers: Mapping[str, str], now: float, *, title: str = ""
) -> Exception:
    """Return the error for a response whose status code is not a success.

    The target's header `timer-outcome` can request what a handler would: discard, snooze (with Retry-After) or fail.

    Args:
        action: the action of the call.
        status: status code.
        phrase: reason phrase.
        headers: headers of the response.
        now: seconds since 1970 UTC.
        title: the error in one line; empty: made from the status.
    """
    place = action.target.place
    title = title or storable(f"{status} {phrase}".strip()[:100]) + f" from {place}"
    # The own handler endpoint returns the exact waits that its handlers request; waits of others are bounded.
    wait = retry_after(headers, now, exactly=bool(action.entry_key))
    match headers.get("timer-outcome", "").strip().lower():
        case "discard":
            return Discard(title)
        case "snooze" if wait is not None:
            return Snooze(wait, title)
        case "fail":
            return CallFailed(title, place, str(status), permanent=True)
    if status == GONE:
        reason = f"{place} says that it is gone (410)"
        return CallFailed(title, place, str(status), permanent=True, pauses=reason)
    if 300 <= status < 400:
        title += "; redirects are not followed"
    return CallFailed(title, place, str(status), wait=wait)


def retry_after(headers: Mapping[str, str], now: float, *, exactly: bool = False) -> float | None:
    """Return the seconds to wait that a target requests, from 1 s to 1 h; None if it requests none, or an invalid one.

    Args:
        headers: headers of the response.
        now: seconds since 1970 UTC. A requested date is compared with the target's own Date header instead, if it has
            one.
        exactly: whether the wait is neither bounded nor randomly lengthened.
    """
    given = headers.get("Retry-After", "").strip()[:100]
    try:
        seconds = float(given)
    except ValueError:
        until = _instant(given)
        if until is None:
            return None
        its_now = _instant(headers.get("Date", "").strip()[:100])
        seconds = until - (now if its_now is None else its_now)
    if math.isnan(seconds):
        return None
    if exactly:
        return min(max(seconds, 0.0), MAX_SECONDS)
    clamped = min(max(seconds, SHORTEST_WAIT), LONGEST_WAIT)
    return min(clamped * (1 + SPREAD * random()), LONGEST_WAIT)


def of_error(action: HttpAction, error: BaseException, mask: Callable[[str], str]) -> CallFailed | None:
    """Return the error of a call that broke off; None if the call is not at fault, such as for a cancellation.

    `mask` removes the call's secrets from texts that the target or the network influences.
    """
    place = action.target.place if action.proxy is None else f"{action.target.place} by {action.proxy.place}"
    code, words = _code_and_words(error, place, mask)
    return None if not code else CallFailed(words, place, code)


def _code_and_words(error: BaseException, place: str, mask: Callable[[str], str]) -> tuple[str, str]:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    match cause:
        case EgressRefused():
            return "egress", f"not called: {cause}"
        case socket.gaierror():
            return "dns", f"the name of {place} does not resolve: {cause.strerror}"
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return (
                "certificate",
                f"the certificate of {place} is not accepted: {_verdict(error.certificate_error, mask)}",
            )
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "tls", f"no TLS with {place}: {_verdict(error, mask)}"
        case aiohttp.ClientHttpProxyError():
            return "proxy", f"the proxy did not connect to {place}: {error.status} {mask(error.message)}"[:300]
        case aiohttp.ClientConnectorError():
            return "connect", f"no connection to {place}: {mask(str(error.os_error.strerror or error.os_error))}"
        case aiohttp.ServerDisconnectedError():
            return "closed", f"{place} closed the connection without an answer"
        case aiohttp.ClientPayloadError():
            return "broken", f"the answer of {place} broke off"
        case aiohttp.ClientOSError() | ConnectionError():
            return "reset", f"the connection to {place} broke: {mask(str(error.strerror or error))}"
        case aiohttp.ClientResponseError() | http_exceptions.HttpProcessingError():
            return "not http", storable(
                f"what {place} answers is not HTTP: {mask(error.message)}".partition("\n")[0][:300]
            )
        case aiohttp.ClientError() | OSError():
            return "call", storable(f"the call to {place} failed: {type(error).__name__}: {mask(str(error))}"[:300])
    return "", ""


def _verdict(error: Exception, mask: Callable[[str], str]) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return mask(error.verify_message)
    reason = getattr(getattr(error, "os_error", error), "reason", None)
    return mask(str(reason or error))[:200]


def _instant(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
