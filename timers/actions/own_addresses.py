"""Addresses at which the installation itself listens: its database and its handler endpoint.

Timers cannot call them.
"""

from __future__ import annotations

import socket
import threading
import time
from ipaddress import ip_address
from typing import Final

from django.db import connections

from timers import conf
from timers.actions.addresses import Address
from timers.conf import forms

KNOWN_SECONDS: Final = 60.0
"""Seconds for which the addresses of a name are cached: a database may fail over to another host."""

_known: dict[tuple[str, ...], tuple[float, frozenset[Address]]] = {}
_lock = threading.Lock()


def own_addresses() -> frozenset[Address]:
    """Return the addresses, at most a minute old; resolves the names if they are older."""
    hosts = _hosts()
    with _lock:
        until, addresses = _known.get(hosts, (0.0, frozenset()))
        if time.monotonic() >= until:
            addresses = frozenset(address for host in hosts for address in _addresses(host))
            _known[hosts] = time.monotonic() + KNOWN_SECONDS, addresses
    return addresses


def _hosts() -> tuple[str, ...]:
    hosts: set[str] = set()
    for connection in connections.all():
        options = connection.settings_dict.get("OPTIONS") or {}
        for given in (connection.settings_dict.get("HOST"), options.get("hostaddr")):
            # libpq accepts several, separated by commas; one that begins with a slash is the directory of a socket.
            hosts.update(
                host.strip() for host in str(given or "").split(",") if not host.strip().startswith(("/", "@"))
            )
    entry = forms.entry_url(conf.current().entry_url)
    if entry is not None:
        hosts.add(entry.host)
    return tuple(sorted(hosts - {""}))


def _addresses(host: str) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:  # a name that does not resolve now: no call can use it either
        return []
    return [ip_address(str(place[0]).partition("%")[0]) for *_, place in found]
