"""Parsers of settings that are more than a number or a word: networks, ports, a proxy, keys. Each raises ValueError."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from timers.actions.target import Target

Network = IPv4Network | IPv6Network

KEY_BYTES: Final = 32
OWNER_LENGTH: Final = 200
_KEY: Final = re.compile(r"([A-Za-z0-9_.-]{1,32}):([A-Za-z0-9+/_-]{43}=?)")


def networks(text: str) -> tuple[Network, ...]:
    """Parse networks as CIDRs, or single addresses, separated by commas."""
    return tuple(ip_network(part) for part in _parts(text))


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The proxies that are trusted to report where a request came from."""

    networks: tuple[Network, ...] = ()
    unix: bool = False
    """Whether to trust every peer connected through a Unix socket, which has no address."""

    def include(self, address: str) -> bool:
        """Return whether the address (in plain form; empty: none) belongs to one of them."""
        if not address:
            return self.unix
        found = ip_address(address)
        return any(found in network for network in self.networks)


@lru_cache(maxsize=4)
def trusted_proxies(text: str) -> TrustedProxies:
    """Parse networks as CIDRs, or single addresses, or the word `unix`, separated by commas."""
    parts = _parts(text)
    others = ",".join(part for part in parts if part != "unix")
    return TrustedProxies(networks(others), "unix" in parts)


def ports(text: str) -> tuple[range, ...]:
    """Parse ports and port ranges such as `443,8000-8999`, or `any`."""
    if text.strip().lower() == "any":
        return (range(1, 65536),)
    spans = []
    for part in _parts(text):
        low, _, high = part.partition("-")
        span = range(int(low), int(high or low) + 1)
        if not span or span[0] < 1 or span[-1] > 65535:
            raise ValueError(part)
        spans.append(span)
    if not spans:
        raise ValueError(text)
    return tuple(spans)


def proxy(text: str) -> Target | None:
    """Parse the URL of a proxy, such as `http://proxy.example.org:3128`. Empty: no proxy."""
    from timers.actions.target import Target  # here, because actions read the settings

    if not text.strip():
        return None
    target = Target.parse(text.strip(), "proxy")
    if target.path != "/":
        raise ValueError(text)
    return target


@lru_cache(maxsize=4)
def entry_url(text: str) -> Target | None:
    """Parse the URL prefix of handler calls, such as `https://timers.example.org/api/v1/handlers`. Empty: none."""
    from timers.actions.target import Target  # here, because actions read the settings

    if not text.strip():
        return None
    target = Target.parse(text.strip(), "handler endpoint")
    if "?" in target.path:
        raise ValueError(text)
    return target


def owner(text: str) -> str:
    """Validate the name of a program that declares timers; empty: the project's."""
    if len(text) > OWNER_LENGTH or not text.isprintable():
        raise ValueError
    return text


def token(text: str) -> str:
    """Validate text that can follow `Bearer` in a header."""
    if text and not (text.isascii() and text.isprintable() and " " not in text):
        raise ValueError
    return text


def encryption_keys(text: str) -> dict[str, bytes]:
    """Parse keys by their ids, the one in use first: `2026b:<32 bytes in base64>,2026a:...`."""
    keys: dict[str, bytes] = {}
    for part in _parts(text):
        found = _KEY.fullmatch(part)
        if found is None or found[1] in keys:
            raise ValueError("a key")
        keys[found[1]] = base64.urlsafe_b64decode(found[2].replace("+", "-").replace("/", "_").rstrip("=") + "=")
    return keys


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
