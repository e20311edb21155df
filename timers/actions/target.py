"""Target: the URL of an HTTP action, in one strict form.

Programs parse malformed URLs differently: one reads as a name what another reads as a number, a user or a path. So only
the plain form is accepted, and any other is refused with a suggestion; then all parsers agree.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

from timers.actions.addresses import Address
from timers.exceptions import InvalidRequest

MAX_LENGTH: Final = 2000
SCHEMES: Final = {"http": 80, "https": 443}

_FOREIGN: Final = re.compile(r"[^A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]")
_BAD_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_FORM: Final = re.compile(r"([^:/?#]*)://([^/?#]*)(/[^?#]*)?(\?[^#]*)?(#.*)?")
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_EXAMPLE: Final = "https://api.example.org/path"


@dataclass(frozen=True, slots=True)
class Target:
    """Target of a call: scheme, host, port and path."""

    scheme: str
    host: str
    """Host in lower case; an IPv6 address without its brackets."""
    port: int
    path: str
    """Path and query, beginning with a slash."""
    address: Address | None = None
    """The host, if it is an address and not a name."""

    @classmethod
    def parse(cls, text: Any, field: str = "url") -> Target:
        """Parse a URL. Raises InvalidRequest that names the error and, if possible, what was meant."""
        if not isinstance(text, str) or not text:
            raise InvalidRequest(field, f"must be a URL such as {_EXAMPLE}", given=text)
        if len(text) > MAX_LENGTH:
            raise InvalidRequest(field, f"may be at most {MAX_LENGTH:,} characters; this is {len(text):,}")
        _check_characters(text, field)
        found = _FORM.fullmatch(text)
        shown = text if "@" not in text else "a URL with an @"  # a password may precede it
        if found is None:
            raise InvalidRequest(field, f"must begin with https:// and a host, such as {_EXAMPLE}", given=shown)
        scheme, authority, path, query, fragment = found.groups()
        if scheme.lower() not in SCHEMES:
            raise InvalidRequest(field, "must begin with https:// (or http://)", given=shown)
        if fragment is not None:
            raise InvalidRequest(field, "has a fragment (#...), which is never sent; leave it out", given=shown)
        host, port, address = _host_and_port(authority, SCHEMES[scheme.lower()], field)
        return cls(scheme.lower(), host, port, (path or "/") + (query or ""), address)

    @property
    def bracketed_host(self) -> str:
        """Host as written in a URL."""
        return f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host

    @property
    def place(self) -> str:
        """Host and port: one target for the limits on calls."""
        return f"{self.bracketed_host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL, without a default port."""
        port = "" if self.port == SCHEMES[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.bracketed_host}{port}{self.path}"


def parse_host(host: str, field: str) -> tuple[str, Address | None]:
    """Parse a host alone: a name, an IPv4 address, or an IPv6 address in brackets. Raises InvalidRequest."""
    if host.startswith("["):
        return _ipv6(host, field)
    if not host:
        raise InvalidRequest(field, f"names no host; write it as in {_EXAMPLE}")
    if host.endswith("."):
        raise InvalidRequest(field, f"has a host that ends with a dot; write {host.rstrip('.')}", given=host)
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(host, field)
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidRequest(
            field, "has a host that is no name: labels of 1 to 63 letters, digits and hyphens between dots", given=host
        )
    return host.lower(), None


def _check_characters(text: str, field: str) -> None:
    foreign = _FOREIGN.search(text)
    if foreign is not None:
        character = foreign[0]
        advice = "percent-encode it"
        if character == "\\":
            advice = "write / instead"
        elif character.isspace() or not character.isprintable():
            advice = "remove it"
        elif "://" in text[: foreign.start()] and not re.search(r"[/?#]", text[: foreign.start()].partition("://")[2]):
            advice = f"write the host in its ASCII form{_ascii_form(text)}"
        raise InvalidRequest(
            field,
            f"has the character {character!r} (U+{ord(character):04X}) at position {foreign.start() + 1}; {advice}",
        )
    percent = _BAD_PERCENT.search(text)
    if percent is not None:
        raise InvalidRequest(
            field, f"has a % at position {percent.start() + 1} without two hexadecimal digits; write %25"
        )


def _ascii_form(text: str) -> str:
    host = re.split(r"[/?#:@]", text.partition("://")[2], maxsplit=1)[0]
    try:
        return f", {host.encode('idna').decode()}"
    except UnicodeError:
        return ", such as xn--mnchen-3ya.example"


def _host_and_port(authority: str, default_port: int, field: str) -> tuple[str, int, Address | None]:
    if "@" in authority:
        # The authority may contain a password: it is not repeated.
        raise InvalidRequest(field, "names a user before the @; remove it, and give credentials as auth")
    host, colon, port = authority, "", ""
    if ":" in authority.rpartition("]")[2]:
        host, colon, port = authority.rpartition(":")
    name, address = parse_host(host, field)
    if not colon:
        return name, default_port, address
    if not re.fullmatch(r"[1-9][0-9]{0,4}", port) or int(port) > 65535:
        raise InvalidRequest(field, "has a port that is no number from 1 to 65535", given=port)
    return name, int(port), address


def _ipv4(host: str, field: str) -> tuple[str, Address]:
    try:
        address = IPv4Address(host)
    except ValueError:
        try:
            meant = f"; write {socket.inet_ntoa(socket.inet_aton(host))}"
        except OSError:
            meant = " such as 93.184.215.14"
        raise InvalidRequest(
            field, f"has a host that ends in a number but is no plain IPv4 address{meant}", given=host
        ) from None
    return str(address), address


def _ipv6(host: str, field: str) -> tuple[str, Address]:
    inner = host[1:-1] if host.endswith("]") else ""
    if "%" in host:
        raise InvalidRequest(
            field, "has an IPv6 address with a zone, which means something on one host only", given=host
        )
    try:
        address = IPv6Address(inner)
    except ValueError:
        raise InvalidRequest(field, "has no IPv6 address between its brackets", given=host) from None
    return str(address), address
