"""Shards: hash slices of a group's timers, so that many nodes do not all read the same end of one index.

A node claims due timers of its preferred shards at once, and those of other shards only when they are overdue, because
the preferring node may be full, slow, or gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Final
from zlib import crc32

OVERDUE_SECONDS: Final = 1.0
"""Seconds after which any node claims the timers of a shard that another one prefers."""


def shard_of(name: str, shards: int) -> int:
    """Return the shard of a timer, from 0 to `shards` - 1."""
    return crc32(name.encode()) % shards


def keys_of(nodes: Mapping[int, str]) -> dict[int, str]:
    """Return a unique key for each node, from names by ids: its name, with a number if other nodes have it too.

    A node that is restarted has the same key again, so its shards do not change.
    """
    keys: dict[int, str] = {}
    seen: Counter[str] = Counter()
    for node_id, name in sorted(nodes.items()):
        seen[name] += 1
        keys[node_id] = name if seen[name] == 1 else f"{name}/{seen[name]}"
    return keys


def preferring_node(group_id: int, shard: int, nodes: Iterable[str]) -> str | None:
    """Return the node that prefers a shard, by rendezvous hashing; None if there is no node.

    Every node computes the same result from the same keys. When a node joins or leaves, only the shards that it gains
    or had change owner (Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998).
    """
    return max(nodes, key=lambda node: (_weight(group_id, shard, node), node), default=None)


def _weight(group_id: int, shard: int, node: str) -> bytes:
    return blake2b(f"{group_id}/{shard}/{node}".encode(), digest_size=8).digest()
