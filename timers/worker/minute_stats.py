"""Counts per minute and group, summed in memory and flushed every few seconds into stats_minute."""

from __future__ import annotations

import time
from bisect import bisect_left
from math import ceil
from typing import Final

from timers.engine.outcome import CountedAs, Outcome
from timers.engine.stats import MinuteCount, add_minute_counts
from timers.models import LATENESS_BUCKETS_MS

FLUSH_SECONDS: Final = 5.0
_MINUTE_US: Final = 60_000_000


class MinuteStats:
    """Counts outcomes; the recorder calls it, in its thread and with its connection."""

    def __init__(self, node_id: int) -> None:
        self._node_id = node_id
        self._counts: dict[tuple[int, int], MinuteCount] = {}
        self._since = 0.0

    def count(self, outcome: Outcome, counted_as: CountedAs) -> None:
        """Add one attempt in the given category."""
        execution = outcome.execution
        minute_us = outcome.finished_us - outcome.finished_us % _MINUTE_US
        key = (minute_us, execution.group.id)
        count = self._counts.get(key)
        if count is None:
            if not self._counts:
                self._since = time.monotonic()
            count = self._counts[key] = MinuteCount(minute_us, execution.group.id)
        match counted_as:
            case "succeeded":
                count.succeeded += 1
            case "retried":
                count.retried += 1
            case "failed":
                count.failed += 1
        if outcome.started_us is not None:
            count.run_us += outcome.finished_us - outcome.started_us
            if execution.attempt == 1 and not execution.group.clock.sandbox:
                late_ms = (outcome.started_us - execution.available_us) / 1000
                count.lateness[bisect_left(LATENESS_BUCKETS_MS, late_ms)] += 1
                if count.lateness_max_ms is None or late_ms > count.lateness_max_ms:
                    count.lateness_max_ms = ceil(late_ms)

    def flush_if_old(self) -> None:
        """Write the counts if the oldest is old enough."""
        if self._counts and time.monotonic() - self._since >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the counts."""
        if self._counts:
            add_minute_counts(self._node_id, list(self._counts.values()))
            self._counts = {}

    def seconds_to_flush(self) -> float:
        """Return the seconds until the counts are old enough; an hour if there are none."""
        return max(self._since + FLUSH_SECONDS - time.monotonic(), 0.01) if self._counts else 3600.0
