"""Cache of valid keys: for a second after a key was read it needs no database query."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

from timers.security.caller import Caller

MOST_SECONDS: Final = 1.0
"""Maximum seconds for which a key is cached; a revocation takes effect in every process within this time."""
_MOST_KEYS: Final = 10_000


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A valid key, and from where it may be used."""

    caller: Caller
    allowed_addresses: tuple[str, ...]
    group_ids: frozenset[int] = frozenset()
    """Ids of the groups that it is for, if it is not for all."""

    def admits(self, address: str) -> bool:
        """Return whether it may be used from this address; an unknown address is not among the allowed ones."""
        if not self.allowed_addresses:
            return True
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in ip_network(network) for network in self.allowed_addresses)


class KnownKeys:
    """At most 10,000 keys, by a digest of their text: no secret stays in memory. Safe for use by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[bytes, tuple[float, KnownKey]] = OrderedDict()

    def get(self, text: str, at: float) -> KnownKey | None:
        """Return the key if it is cached and has not expired at this reading of the monotonic clock."""
        with self._lock:
            ends, known = self._entries.get(_fingerprint(text), (at, None))
        return known if at < ends else None

    def put(self, text: str, known: KnownKey, read_at: float, seconds: float = MOST_SECONDS) -> None:
        """Cache a key that was read at `read_at`, for this many seconds, but at most one."""
        fingerprint = _fingerprint(text)
        with self._lock:
            self._entries[fingerprint] = (read_at + min(seconds, MOST_SECONDS), known)
            self._entries.move_to_end(fingerprint)
            while len(self._entries) > _MOST_KEYS:
                self._entries.popitem(last=False)

    def forget(self) -> None:
        """Clear the cache."""
        with self._lock:
            self._entries.clear()


def _fingerprint(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
