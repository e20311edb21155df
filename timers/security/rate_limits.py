"""Rate limits of callers in each web process: requests per key, and failed authentications per address."""

from __future__ import annotations

import time
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from timers import conf
from timers.exceptions import TimersError
from timers.security.caller import Caller
from timers.security.throttle import Throttle

FAILURES_PER_MINUTE: Final = 100
"""Invalid keys from one address per minute before it must wait."""
_NEIGHBOURS: Final = 64  # bits of an IPv6 address that addresses of the same site share

_requests = Throttle()
_failures = Throttle()


class TooManyRequests(TimersError):
    """The rate limit is exceeded; `retry_after`: seconds after which a request is allowed again."""

    def __init__(self, message: str, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(message)


def check_rate(caller: Caller, *, now: float | None = None, throttle: Throttle = _requests) -> None:
    """Count a request of the caller. Raise TooManyRequests if it exceeds the rate limit.

    The rate is the key's own, else TIMERS_API_RATE (0: no limit); TIMERS_API_BURST seconds' worth of it may arrive at
    once.

    Args:
        caller: who makes the request.
        now: a reading of the monotonic clock in seconds; None: the present one. For tests.
        throttle: the counts. For tests.
    """
    settings = conf.current()
    rate = settings.api_rate if caller.rate is None else caller.rate
    if not rate:
        return
    now = time.monotonic() if now is None else now
    wait = throttle.take(caller.identity, rate, max(1.0, rate * settings.api_burst), now)
    if wait:
        raise TooManyRequests(f"These were more requests than {rate:g} per second.", wait)


def count_failure(address: str, *, now: float | None = None, throttle: Throttle = _failures) -> None:
    """Count an invalid key from an address. Raise TooManyRequests if there were too many.

    Valid keys from the address are still accepted: many programs may share one address.

    Args:
        address: the client's address.
        now: a reading of the monotonic clock in seconds; None: the present one. For tests.
        throttle: the counts. For tests.
    """
    rate, burst = FAILURES_PER_MINUTE / 60, float(FAILURES_PER_MINUTE)
    now = time.monotonic() if now is None else now
    wait = throttle.take(site_of(address), rate, burst, now)
    if wait:
        raise TooManyRequests("Too many keys that are not valid came from this address.", wait)


def forget_callers() -> None:
    """Clear all counts; for tests."""
    _requests.forget()
    _failures.forget()


def site_of(address: str) -> str:
    """Return the address, or of an IPv6 address its network: a client with one address has the others of it too."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((int(found), _NEIGHBOURS), strict=False)) if isinstance(found, IPv6Address) else address
