"""Headers that an HTTP action may set: those that concern neither message framing nor the sender.

Names are tokens and values plain ASCII without control characters (RFC 9110), so no value can begin another header.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest

MAX_HEADERS: Final = 50
MAX_NAME: Final = 100
MAX_VALUE: Final = 4096
MAX_TOTAL: Final = 8192

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?|")

_WAY: Final = "it tells receivers by what way and from where a call came, which is not the action's to say"
_OURS: Final = {
    "host": "the URL says it",
    "content-length": "it follows from the content",
    "content-encoding": "the content is sent as it is",
    "transfer-encoding": "it follows from the content",
    "connection": "connections are the worker's affair",
    "keep-alive": "connections are the worker's affair",
    "upgrade": "connections are the worker's affair",
    "te": "connections are the worker's affair",
    "trailer": "connections are the worker's affair",
    "forwarded": _WAY,
    "via": _WAY,
    "max-forwards": _WAY,
    "x-real-ip": _WAY,
    "x-client-ip": _WAY,
    "x-cluster-client-ip": _WAY,
    "x-originating-ip": _WAY,
    "x-remote-ip": _WAY,
    "x-remote-addr": _WAY,
    "true-client-ip": _WAY,
    "client-ip": _WAY,
    "fastly-client-ip": _WAY,
    "front-end-https": _WAY,
    "x-scheme": _WAY,
    "x-url-scheme": _WAY,
    "x-host": "the URL says it",
    "x-http-host-override": "the URL says it",
    "x-rewrite-url": "the URL says it",
    "x-script-name": "the URL says it",
    "script-name": "the URL says it",
    "path-info": "the URL says it",
    "x-http-method": "the method says it",
    "x-http-method-override": "the method says it",
    "x-method-override": "the method says it",
    "proxy": "connections are the worker's affair",
    "http2-settings": "connections are the worker's affair",
    "expect": "connections are the worker's affair",
    "authorization": "give credentials as auth, so that they are kept encrypted",
    "proxy-authorization": "proxies are called without credentials",
    "cookie": "cookies are off",
    "cookie2": "cookies are off",
    "set-cookie": "cookies are off",
}
_OUR_PREFIXES: Final = {
    "webhook-": "it belongs to the signature",
    "timer-": "the service sets it",
    "proxy-": "connections are the worker's affair",
    "sec-": "it is for browsers",
    "x-forwarded-": _WAY,
    "x-original-": _WAY,
    "x-proxyuser-": _WAY,
    "x-envoy-": _WAY,
    "cf-": _WAY,
}

Headers = tuple[tuple[str, str], ...]


def parse_headers(given: Any, field: str) -> Headers:
    """Parse an object of headers. Raises InvalidRequest that names each header that cannot be sent."""
    if not isinstance(given, Mapping):
        raise InvalidRequest(field, 'must be an object such as {"Accept": "application/json"}', given=given)
    if len(given) > MAX_HEADERS:
        raise InvalidRequest(field, f"may be at most {MAX_HEADERS}; these are {len(given):,}")
    mistakes = ErrorCollector()
    seen: set[str] = set()
    for name, value in given.items():
        try:
            check_header_name(name, field)
            _check_value(value, f"{field}.{name}")
            if name.lower() in seen:
                raise InvalidRequest(f"{field}.{name}", "is there twice; upper and lower case are the same name")
            seen.add(name.lower())
        except InvalidRequest as error:
            mistakes.add(error)
    mistakes.raise_if_any()
    total = sum(len(name) + len(value) + 4 for name, value in given.items())
    if total > MAX_TOTAL:
        raise InvalidRequest(field, f"may be at most {MAX_TOTAL:,} bytes together; these are {total:,}")
    return tuple(given.items())


def check_header_name(name: Any, field: str) -> None:
    """Raise InvalidRequest for a name that is not a token, or that an action must not set."""
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME or not _TOKEN.fullmatch(name):
        raise InvalidRequest(
            field,
            f"names are 1 to {MAX_NAME} letters, digits and !#$%&'*+-.^_`|~, without spaces or colons",
            given=name,
        )
    # WSGI and CGI receivers do not distinguish an underscore from a hyphen.
    lower = name.lower().replace("_", "-")
    reason = _OURS.get(lower) or next((why for prefix, why in _OUR_PREFIXES.items() if lower.startswith(prefix)), None)
    if reason is not None:
        raise InvalidRequest(f"{field}.{name}", f"cannot be set: {reason}")


def _check_value(value: Any, field: str) -> None:
    if not isinstance(value, str):
        raise InvalidRequest(field, "must be text", given=value)
    if len(value) > MAX_VALUE:
        raise InvalidRequest(field, f"may be at most {MAX_VALUE:,} characters; this is {len(value):,}")
    if not _VALUE.fullmatch(value):
        raise InvalidRequest(field, "must be plain ASCII without control characters, and not begin or end with a space")
