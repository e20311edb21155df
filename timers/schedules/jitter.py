"""Jitter: timers that are due at the same instant, spread over a stretch of time."""

from __future__ import annotations

from zlib import crc32


def jitter_offset_us(name: str, jitter: float) -> int:
    """How many microseconds after its nominal instants a timer is due, from 0 to below `jitter` (seconds).

    The hash of the name decides: the same on every node and at every fire, so the distance between two fires of one
    timer stays what its schedule says.
    """
    return crc32(name.encode()) * round(jitter * 1_000_000) >> 32
