"""Addresses that every timer may call: public ones, including addresses embedded in them.

An IPv6 address may contain an IPv4 one (mapped, NAT64, 6to4, Teredo, ISATAP), to which a gateway would forward. So an
address is public only if it and every embedded address is. `ipaddress.is_global` alone is not sufficient: it is true
for 64:ff9b::7f00:1 (loopback by NAT64), for multicast, and for the metadata server of one cloud.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from timers.conf.forms import Network

Address = IPv4Address | IPv6Address

METADATA: Final = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google, Oracle, DigitalOcean, OpenStack
        "169.254.170.2",  # AWS, credentials of containers
        "169.254.170.23",
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",
        "fd20:ce::254",  # Google
        "168.63.129.16",  # Azure's wire server: a public address
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle, first generation
    )
)
"""Metadata servers, from which clouds give credentials to any client; allowing their network does not open them."""

_NOT_PUBLIC: Final = tuple(
    (ip_network(network), words)
    for network, words in (
        ("0.0.0.0/8", "an address of this host"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "an address of a provider's inner network"),
        ("127.0.0.0/8", "a loopback address"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "an address of protocols"),
        ("192.0.2.0/24", "an address for documents"),
        ("192.88.99.0/24", "a relay's address"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "an address for measurements"),
        ("198.51.100.0/24", "an address for documents"),
        ("203.0.113.0/24", "an address for documents"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
        ("::/128", "an address of this host"),
        ("::1/128", "a loopback address"),
        ("::/8", "a reserved address"),
        ("64:ff9b::/96", "an address of a translator (NAT64)"),
        ("64:ff9b:1::/48", "an address of a translator (NAT64)"),
        ("100::/64", "an address that discards"),
        ("2001::/23", "an address of protocols"),
        ("2001:db8::/32", "an address for documents"),
        ("2002::/16", "an address of a tunnel (6to4)"),
        ("3fff::/20", "an address for documents"),
        ("5f00::/16", "an address of segment routing"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
        ("ff00::/8", "a multicast address"),
    )
)
_OF_VERSION: Final = {version: [row for row in _NOT_PUBLIC if row[0].version == version] for version in (4, 6)}

_LAST_32_BITS: Final = tuple(
    ip_network(network) for network in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
)
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})


def embedded(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that an IPv6 address contains."""
    # The loopback and the unspecified address look like IPv4 ones in an outdated notation, but are not.
    if isinstance(address, IPv4Address) or address.is_loopback or address.is_unspecified:
        return
    if any(address in network for network in _LAST_32_BITS) or (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        yield IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo


def why_refused(
    address: Address,
    *,
    allowed: Iterable[Network] = (),
    denied: Iterable[Network] = (),
    own: Collection[Address] = (),
) -> str | None:
    """Return why connecting to an address is not allowed; None: it is allowed.

    Args:
        address: The address.
        allowed: Networks that are open although they are not public.
        denied: Networks that are always closed.
        own: Addresses of the installation; like metadata servers, they are opened only individually.
    """
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return f"{address} names a network interface of this host"
    reason = _refused_itself(address, allowed, denied, own)
    if reason is not None:
        return f"{address} is {reason}"
    for inner in embedded(address):
        reason = _refused_itself(inner, allowed, denied, own)
        if reason is not None:
            return f"{address} stands for {inner}, {reason}"
    return None


def _refused_itself(
    address: Address, allowed: Iterable[Network], denied: Iterable[Network], own: Collection[Address]
) -> str | None:
    if any(address in network for network in denied):
        return "in a network that this installation denies (TIMERS_HTTP_DENY)"
    opening = [network for network in allowed if address in network]
    if address in METADATA or address in own:
        by_itself = any(network.num_addresses == 1 for network in opening)
        whose = "a cloud's metadata server" if address in METADATA else "where this installation itself listens"
        return None if by_itself else whose
    if opening:
        return None
    for network, words in _OF_VERSION[address.version]:
        if address in network:
            return words
    # Ranges that a newer Python knows and this module's list does not.
    return (
        None if address.is_global and not address.is_multicast and not address.is_reserved else "not a public address"
    )
