"""Poll times: when each worker of a partition polls for due work, so that all take equal shares of it.

A poll claims what comes due within the look-ahead and no other poll has claimed: what came into the look-ahead since
the previous poll of any worker. So the shares are equal if the polls of all workers are evenly spaced. Each worker
computes its own times from its position among the live workers and from the database clock; nobody assigns them.
"""

from __future__ import annotations

from typing import Final

PERIOD: Final = 7**0.5 / 3
"""Poll intervals between two polls of a worker (0.88). The number is irrational: with a fraction like 7/8, timers
whose period is the poll interval would always be claimed by the same few workers."""
LEAST: Final = 1 - PERIOD
"""A poll that would follow within this time (in poll intervals) of an extra poll is skipped; the next one is at most
one poll interval away."""


def seconds_to_next_look(now_us: int, poll_interval: float, position: int = 0, workers: int = 1) -> float:
    """Return the seconds until a worker's next poll, more than 0 and at most one poll interval.

    Args:
        now_us: Present instant of the database clock, in microseconds.
        poll_interval: Longest time between two polls of a worker, in seconds.
        position: Position of this worker among those that poll, from 0 to `workers` - 1.
        workers: Number of workers that poll.
    """
    period = poll_interval * PERIOD
    wait = period - (now_us / 1_000_000 - period * position / workers) % period
    return wait if wait > poll_interval * LEAST else wait + period
