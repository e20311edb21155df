"""The client address of a request, and which proxies are trusted to report it."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from django.http import HttpRequest

from timers import conf
from timers.conf import forms
from timers.conf.forms import TrustedProxies


def client_address(request: HttpRequest) -> str:
    """Return the client's address in plain form; empty if unknown.

    X-Forwarded-For is trusted as far as trusted proxies wrote it (TIMERS_TRUSTED_PROXIES): read from the right, the
    first address that does not belong to one of them is the client. Anybody could have written the entries to its left.
    """
    proxies = forms.trusted_proxies(conf.current().trusted_proxies)
    return forwarded_for(request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", ""), proxies)


def forwarded_for(peer: str, header: str, proxies: TrustedProxies) -> str:
    """Return the client's address, from the peer of the connection and the X-Forwarded-For header that it sent."""
    found = plain_address(peer)
    if not proxies.include(found):
        return found
    for entry in reversed(header.split(",") if header else []):
        said = plain_address(entry)
        if not said:
            return found  # a trusted proxy forwarded an invalid entry: its own address is the last that is certain
        found = said
        if not proxies.include(found):
            return found
    return found


def plain_address(text: str) -> str:
    """Return an address without port, brackets and zone, and IPv4-mapped IPv6 as IPv4; empty if it is invalid."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)
