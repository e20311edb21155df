"""Rates from the minute statistics, which nodes flush every few seconds; the ledger is not read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from timers.database import connection
from timers.models import LATENESS_BUCKETS_MS

_BUCKETS: Final = len(LATENESS_BUCKETS_MS) + 1
_BY_MINUTE: Final = f"""
SELECT minute, sum(succeeded), sum(retried), sum(failed),
       {", ".join(f"sum(lateness[{place}])" for place in range(1, _BUCKETS + 1))},
       max(lateness_max_ms), bool_or(lateness_max_ms IS NULL AND 0 < ANY (lateness))
FROM timers_stats_minute
WHERE minute BETWEEN %(first)s AND %(last)s AND (%(group_id)s::bigint IS NULL OR group_id = %(group_id)s)
GROUP BY minute
"""


@dataclass(frozen=True, slots=True)
class Minute:
    """Totals of all nodes in one minute."""

    minute: datetime
    succeeded: int
    retried: int
    failed: int

    @property
    def tries(self) -> int:
        """Number of attempts that ended in the minute."""
        return self.succeeded + self.retried + self.failed


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates of a time range. Without attempts, there is no success rate and no lateness."""

    minutes: tuple[Minute, ...]
    """Every minute of the range, oldest first; the last is not over yet."""
    per_minute: float
    """Attempts in the last 60 s: those of this minute, and the matching share of the previous one."""
    success: float | None
    """Fraction (0 to 1) of ended executions that succeeded; an attempt that is retried does not end its execution."""
    lateness_p50_ms: float | None
    lateness_p99_ms: float | None
    """Estimated from the histogram, never above the measured maximum. First attempts in workers only. Infinite if
    beyond the last bound of counts that have no maximum."""


def rates(now: datetime, *, minutes: int = 60, group_id: int | None = None) -> Rates:
    """Return the rates of the last `minutes`, including the present one, of all groups or of one."""
    this_minute = now.replace(second=0, microsecond=0)
    first = this_minute - timedelta(minutes=minutes - 1)
    with connection.cursor() as cursor:
        cursor.execute(_BY_MINUTE, {"first": first, "last": this_minute, "group_id": group_id})
        rows = cursor.fetchall()
    counts = {minute: tuple(map(int, numbers[:3])) for minute, *numbers in rows}
    buckets = [sum(int(row[4 + place] or 0) for row in rows) for place in range(_BUCKETS)]
    # Nodes of an earlier version do not report the maximum.
    most = math.inf if any(row[-1] for row in rows) else max((float(row[-2]) for row in rows if row[-2]), default=0.0)
    series = tuple(
        Minute(minute, *counts.get(minute, (0, 0, 0)))
        for minute in (first + timedelta(minutes=number) for number in range(minutes))
    )
    succeeded = sum(minute.succeeded for minute in series)
    ended = succeeded + sum(minute.failed for minute in series)
    return Rates(
        minutes=series,
        per_minute=_last_sixty_seconds(series, (now - this_minute).total_seconds()),
        success=succeeded / ended if ended else None,
        lateness_p50_ms=quantile(buckets, 0.50, most),
        lateness_p99_ms=quantile(buckets, 0.99, most),
    )


def quantile(buckets: Sequence[int], share: float, most: float = math.inf) -> float | None:
    """Return the value in ms below which `share` of a lateness histogram lies, interpolated within a bucket.

    `most`: the maximum in ms; no bucket extends beyond it.
    """
    total = sum(buckets)
    if not total:
        return None
    wanted, below = share * total, 0
    lows = (0, *LATENESS_BUCKETS_MS)
    for low, high, count in zip(lows, (*LATENESS_BUCKETS_MS, math.inf), buckets, strict=True):
        if count and below + count >= wanted:
            end = max(min(high, most), low)
            return math.inf if math.isinf(end) else low + (end - low) * (wanted - below) / count
        below += count
    return None


def _last_sixty_seconds(series: Sequence[Minute], second: float) -> float:
    before = series[-2].tries if len(series) > 1 else 0
    return series[-1].tries + before * max(0.0, 1 - second / 60)
