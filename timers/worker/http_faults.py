"""What went wrong with a call, in words, and what follows from it for the next try."""

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
"""Waits that a target asks for are lengthened by up to so much, or all it has turned away would come back at once."""

GONE: Final = 410


def of_status(
    action: HttpAction, status: int, phrase: str, headers: Mapping[str, str], now: float, *, title: str = ""
) -> Exception:
    """The target answered with a code that is no success. `now`: seconds since 1970 UTC.

    Its header `timer-outcome` may say what a handler would: discard, snooze (with Retry-After) or fail.
    """
    place = action.target.place
    title = title or storable(f"{status} {phrase}".strip()[:100]) + f" from {place}"
    # Our own entry point says the very waits that its handlers ask for; others ask for what is bearable.
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
    """The seconds to wait that a target asks for, from 1 s to 1 h; None when it asks for nothing that makes sense.

    A date is taken against the target's own Date, where it says one. `exactly`: neither bounded nor spread.
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
    """The call broke off; None for what is no fault of the call, such as a cancellation.

    `mask` takes the call's secrets out of a text that others have a part in.
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
