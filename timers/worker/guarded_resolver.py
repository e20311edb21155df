"""Outgoing connections of a worker: names are resolved here, and only to addresses that the egress guard allows."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

from timers.actions.egress import Egress, EgressRefused
from timers.worker.http_exchange import exchange_now

LOOKUPS: Final = 32
"""Maximum number of concurrent look-ups: each blocks a thread of the system's resolver while a name server is silent.
"""

AddressInfo = tuple[int, int, int, str, tuple[object, ...]]


class GuardedResolver(AbstractResolver):
    """Resolves a name completely or not at all: one blocked address among its addresses rejects the name.

    The installation's own proxy is exempt, because the operator chose it, not a user.
    """

    def __init__(self, rules: Egress) -> None:
        self.rules = rules
        self._proxy = None if rules.proxy is None else rules.proxy.host
        self._proxy_addresses = {rules.proxy.host} if rules.proxy is not None and rules.proxy.address else set()
        self._threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return all addresses of a host. Raise EgressRefused, or OSError if it does not resolve."""
        found = await asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port, family)
        addresses = [str(result["host"]) for result in found]
        if host == self._proxy:
            self._proxy_addresses.update(addresses)
        else:
            self.rules.check_addresses(host, addresses)
        return found

    def open_socket(self, info: AddressInfo) -> socket.socket:
        """Return the socket for one connection, however the address was resolved: the last check before the connect."""
        family, kind, protocol, _, (address, *_) = info
        if address not in self._proxy_addresses:
            self.rules.check_addresses(str(address), [str(address)])
        exchange = exchange_now.get()
        if exchange is not None:
            exchange.connecting_to(str(address))
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Shut down the threads without waiting for running look-ups."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int, family: int) -> list[ResolveResult]:
    infos: Iterable[tuple[int, int, int, str, tuple[object, ...]]] = socket.getaddrinfo(
        host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    found = []
    for found_family, _, protocol, _, address in infos:
        if len(address) == 4 and address[3]:
            raise EgressRefused(f"{host} is refused: {address[0]} is an address of one network interface")
        found.append(
            ResolveResult(
                hostname=host, host=str(address[0]), port=port, family=found_family, proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
        )  # fmt: skip
    return found
