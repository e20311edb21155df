"""Look times: when each worker of a partition looks for due work, so that all take equal shares of it.

A look claims what comes due within the look-ahead and no other look has claimed: what came into sight since the look
before it, whoever made that. So the shares are equal when the looks of all workers are evenly spaced. Each worker
computes its own times from its position among the live workers and the database's clock; nobody assigns them.
"""

from __future__ import annotations

from typing import Final

PERIOD: Final = 7**0.5 / 3
"""A worker looks once in so many poll intervals (0.88). The number is irrational: with a fraction like 7/8, timers
whose period is the poll interval would always come into sight at the same few workers."""
LEAST: Final = 1 - PERIOD
"""A look that would follow so soon (in poll intervals) is left out, after one that was made out of turn; until the next
it is one poll interval at most."""


def seconds_to_next_look(now_us: int, poll_interval: float, position: int = 0, workers: int = 1) -> float:
    """Return the seconds until a worker's next look, more than 0 and at most one poll interval.

    Args:
        now_us: the database's now, in microseconds.
        poll_interval: the longest time between two looks of a worker, in seconds.
        position: of this worker among those that look, from 0 to `workers` - 1.
        workers: how many look.
    """
    period = poll_interval * PERIOD
    wait = period - (now_us / 1_000_000 - period * position / workers) % period
    return wait if wait > poll_interval * LEAST else wait + period
