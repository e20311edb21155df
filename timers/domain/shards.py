"""Shards: hash slices of a group's timers, so that many nodes do not all read the same end of one index.

A node prefers some shards and takes what is due there at once; the rest it takes only when it is overdue, because its
preferring node may be full, slow, or gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final
from zlib import crc32

OVERDUE_SECONDS: Final = 1.0
"""After so long any node takes the timers of a shard that another one prefers."""


def shard_of(name: str, shards: int) -> int:
    """Return the shard of a timer, from 0 to `shards` - 1."""
    return crc32(name.encode()) % shards


def preferring_node(group_id: int, shard: int, nodes: Iterable[str]) -> str | None:
    """Return the node that prefers a shard, by rendezvous hashing; None when there is no node.

    Every node computes the same answer from the same names. When a node comes or goes, only the shards that it gains
    or had change hands (Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998).
    """
    return max(nodes, key=lambda node: (_weight(group_id, shard, node), node), default=None)


def _weight(group_id: int, shard: int, node: str) -> bytes:
    return blake2b(f"{group_id}/{shard}/{node}".encode(), digest_size=8).digest()
