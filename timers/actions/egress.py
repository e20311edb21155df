"""Egress guard: restricts the targets of timers' calls.

A timer's URL comes from a user, but the node that calls it is inside the installation's network. So a call is made only
with an allowed scheme, to an allowed port, and to an address that is public or that the installation has opened
(TIMERS_HTTP_ALLOW_PRIVATE). The address decides, not the name: a name is resolved, each of its addresses is checked,
and the connection is made to a checked address. This is checked when a timer is saved, as far as possible then, and
again for every connection, because names change their addresses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from timers import conf
from timers.actions.addresses import Address, why_refused
from timers.actions.own_addresses import own_addresses
from timers.actions.target import Target
from timers.conf import forms
from timers.conf.forms import Network


class EgressRefused(PermissionError):
    """The guard refused the connection. The message says why."""


@dataclass(frozen=True, slots=True)
class Egress:
    """Rules of one installation."""

    allowed: tuple[Network, ...] = ()
    denied: tuple[Network, ...] = ()
    ports: tuple[range, ...] = (range(443, 444),)
    plain_http: bool = False
    own: frozenset[Address] = frozenset()
    """Addresses at which the installation itself listens."""
    proxy: Target | None = None
    """Proxy for all calls, which then resolves names."""

    @classmethod
    def open(cls) -> Egress:
        """Return no rules, for calls whose target is set by an operator and not by a user's timer."""
        return cls(allowed=forms.networks("0.0.0.0/0,::/0"), ports=(range(1, 65536),), plain_http=True)

    @classmethod
    def in_force(cls) -> Egress:
        """Return the rules from this process' settings and the installation's addresses; may resolve names."""
        settings = conf.current()
        return _read(
            settings.http_allow_private,
            settings.http_deny,
            settings.http_ports,
            settings.http_allow_plain,
            settings.http_proxy,
            own_addresses(),
        )

    def why_refused_address(self, text: str) -> str | None:
        """Return why connecting to this address is not allowed; None: it is allowed."""
        try:
            address = ip_address(text)
        except ValueError:
            return f"{text} is no address"
        return why_refused(address, allowed=self.allowed, denied=self.denied, own=self.own)

    def why_refused_target(self, target: Target) -> str | None:
        """Check what the URL alone shows: scheme, port, and a literal address.

        Return why it is refused; None: it is not.
        """
        if target.scheme != "https" and not self.plain_http:
            return "http is not encrypted and not allowed here (TIMERS_HTTP_ALLOW_PLAIN); use https"
        if not any(target.port in ports for ports in self.ports):
            return f"port {target.port} is not allowed here (TIMERS_HTTP_PORTS)"
        if target.address is None:
            return self._why_refused_name(target.host)
        return self.why_refused_address(target.host)

    def why_refused_proxy(self, proxy: Target) -> str | None:
        """Check the port and address of a proxy that an action names. Return why it is refused; None: it is not."""
        if self.proxy is not None:
            return "cannot be chosen here: all calls go through the installation's proxy (TIMERS_HTTP_PROXY)"
        if not any(proxy.port in ports for ports in self.ports):
            return f"port {proxy.port} is not allowed here (TIMERS_HTTP_PORTS)"
        return self._why_refused_name(proxy.host) if proxy.address is None else self.why_refused_address(proxy.host)

    def _why_refused_name(self, host: str) -> str | None:
        # Only these names have the same meaning everywhere (RFC 6761).
        if host != "localhost" and not host.endswith(".localhost"):
            return None
        reasons = [self.why_refused_address(address) for address in ("127.0.0.1", "::1")]
        return f"{host} is this host: {reasons[0]}" if all(reasons) else None

    def check_addresses(self, host: str, addresses: Iterable[str]) -> None:
        """Raise EgressRefused if any of a name's addresses is not allowed."""
        for address in addresses:
            reason = self.why_refused_address(address)
            if reason is not None:
                raise EgressRefused(f"{host} is refused: {reason}")


@lru_cache(maxsize=8)
def _read(allow: str, deny: str, ports: str, plain_http: bool, proxy: str, own: frozenset[Address]) -> Egress:
    return Egress(
        forms.networks(allow),
        forms.networks(deny),
        forms.ports(ports),
        plain_http,
        own,
        forms.proxy(proxy),
    )
