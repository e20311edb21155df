"""The address that a request came from, and whom to believe about it."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from django.http import HttpRequest

from timers import conf
from timers.conf import forms
from timers.conf.forms import TrustedProxies


def client_address(request: HttpRequest) -> str:
    """The client's address in plain form; empty when it is not known.

    What X-Forwarded-For says is believed as far as trusted proxies said it (TIMERS_TRUSTED_PROXIES): read from the
    right, the first address that is none of theirs is the client. What is to the left of it anybody could have written.
    """
    proxies = forms.trusted_proxies(conf.current().trusted_proxies)
    return forwarded_for(request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", ""), proxies)


def forwarded_for(peer: str, header: str, proxies: TrustedProxies) -> str:
    """The client's address, from the peer of the connection and the header X-Forwarded-For that it sent."""
    found = plain_address(peer)
    if not proxies.include(found):
        return found
    for entry in reversed(header.split(",") if header else []):
        said = plain_address(entry)
        if not said:
            return found  # a trusted proxy passed nonsense on: what it says itself is the last that is certain
        found = said
        if not proxies.include(found):
            return found
    return found


def plain_address(text: str) -> str:
    """An address without port, brackets, zone and IPv6 dress of an IPv4 one; empty for what is no address."""
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
