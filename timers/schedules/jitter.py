"""Jitter: spreads timers that are due at the same instant over a time range."""

from __future__ import annotations

from zlib import crc32


def jitter_offset_us(name: str, jitter: float) -> int:
    """Return by how many microseconds a timer is due after its nominal instants, from 0 to below `jitter` (seconds).

    The offset is a hash of the name: it is the same on every node and at every fire, so the distance between two fires
    of one timer remains that of its schedule.
    """
    return crc32(name.encode()) * round(jitter * 1_000_000) >> 32
