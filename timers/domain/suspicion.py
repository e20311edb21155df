"""Suspicion: how unusual the silence of a node is, given its own heartbeats. Only the lease decides about a node.

The accrual failure detector of N. Hayashibara, X. Défago, R. Yared and T. Katayama, "The phi accrual failure detector",
SRDS 2004, in the form of Akka (akka.remote.PhiAccrualFailureDetector): the times between heartbeats are assumed to be
normally distributed, with a minimum deviation and an acceptable pause. Phi is -log10 of the probability that a
heartbeat is even later than now: 1 means one error in 10, 8 one in 100 million.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

SAMPLES: Final = 60
"""Number of latest intervals kept of each node."""
SHORTEST_DEVIATION: Final = 0.1
"""Minimum deviation in seconds: very regular heartbeats must not raise suspicion after a few milliseconds (Akka's
default)."""
HIGHEST_PHI: Final = 1000.0
"""Higher values are reported as this one."""
_SQRT_2: Final = math.sqrt(2)
_SQRT_2_PI: Final = math.sqrt(2 * math.pi)
_FAR: Final = 30.0
"""Deviations from the mean beyond which erfc() is near the smallest float."""


def phi(silence: float, intervals: Sequence[float], interval: float, pause: float) -> float:
    """Return how unusual it is that no heartbeat has arrived for this time: from 0 to HIGHEST_PHI.

    Args:
        silence: Seconds since the last heartbeat.
        intervals: Seconds between the latest heartbeats; empty: none has followed the first one.
        interval: Seconds between two heartbeats that the node intends, used while intervals are unknown.
        pause: Seconds that a heartbeat may be later than usual.
    """
    mean, deviation = _distribution(intervals, interval)
    return _phi_of((silence - mean - pause) / deviation)


def suspect_after(intervals: Sequence[float], interval: float, pause: float, threshold: float) -> float:
    """Return the seconds of silence after which `phi` reaches the threshold; the other arguments are those of `phi`."""
    mean, deviation = _distribution(intervals, interval)
    return mean + pause + deviation * _deviations_at(threshold)


def _distribution(intervals: Sequence[float], interval: float) -> tuple[float, float]:
    """Return mean and standard deviation."""
    if not intervals:
        return interval, SHORTEST_DEVIATION
    mean = math.fsum(intervals) / len(intervals)
    variance = math.fsum((each - mean) ** 2 for each in intervals) / len(intervals)
    return mean, max(math.sqrt(variance), SHORTEST_DEVIATION)


def _phi_of(deviations: float) -> float:
    """Return -log10 of the probability that a normally distributed value is this many deviations above the mean."""
    if deviations < _FAR:
        found = -math.log10(0.5 * math.erfc(deviations / _SQRT_2))
    else:
        # The tail of the normal distribution: exp(-y^2/2) / (y sqrt(2 pi)).
        found = deviations * deviations / (2 * math.log(10)) + math.log10(deviations * _SQRT_2_PI)
    return min(max(found, 0.0), HIGHEST_PHI)


@lru_cache(maxsize=16)
def _deviations_at(threshold: float) -> float:
    low, high = -_FAR, 10 * _FAR
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _phi_of(middle) < threshold else (low, middle)
    return high
