"""Minute statistics: each node adds to its own rows, so no counter is shared in the hot path."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, Sum

from timers.database import connection
from timers.engine.arrays import plain_array, timestamp
from timers.models import LATENESS_BUCKETS_MS, StatsMinute

RECENT: Final = timedelta(hours=1)
"""How far back run times are looked up."""


@dataclass(slots=True)
class MinuteCount:
    """What one worker did for one group in one minute; times in microseconds."""

    minute_us: int
    group_id: int
    succeeded: int = 0
    retried: int = 0
    failed: int = 0
    run_us: int = 0
    lateness_max_ms: int | None = None
    """The greatest lateness, rounded up; None: none was measured."""
    lateness: list[int] = field(default_factory=lambda: [0] * (len(LATENESS_BUCKETS_MS) + 1))


_ADD = f"""
INSERT INTO timers_stats_minute AS s (minute, node_id, group_id, succeeded, retried, failed, run_seconds, lateness,
                                      lateness_max_ms)
SELECT {timestamp("u.minute_us")}, %s, u.group_id, u.succeeded, u.retried, u.failed, u.run_us / 1e6,
       u.lateness::bigint[], u.lateness_max_ms
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[],
            %s::bigint[])
     AS u(minute_us, group_id, succeeded, retried, failed, run_us, lateness, lateness_max_ms)
ON CONFLICT (minute, node_id, group_id) DO UPDATE SET
    succeeded = s.succeeded + excluded.succeeded, retried = s.retried + excluded.retried,
    lateness_max_ms = greatest(s.lateness_max_ms, excluded.lateness_max_ms),
    failed = s.failed + excluded.failed, run_seconds = s.run_seconds + excluded.run_seconds,
    lateness = ARRAY(SELECT a.n + b.n FROM unnest(s.lateness) WITH ORDINALITY a(n, i)
                     JOIN unnest(excluded.lateness) WITH ORDINALITY b(n, i) USING (i) ORDER BY i)
"""


def add_minute_counts(node_id: int, counts: Sequence[MinuteCount]) -> None:
    """Add counts to the node's rows. Rows are locked in one order, so two workers of a node never deadlock."""
    counts = sorted(counts, key=lambda count: (count.minute_us, count.group_id))
    with connection.cursor() as cursor:
        cursor.execute(
            _ADD,
            (
                node_id,
                plain_array(count.minute_us for count in counts),
                plain_array(count.group_id for count in counts),
                plain_array(count.succeeded for count in counts),
                plain_array(count.retried for count in counts),
                plain_array(count.failed for count in counts),
                plain_array(count.run_us for count in counts),
                [plain_array(count.lateness) for count in counts],
                plain_array(count.lateness_max_ms for count in counts),
            ),
        )


def recent_run_seconds(group_ids: Collection[int], now: datetime) -> dict[int, float]:
    """Return groups' mean run time in seconds over the last hour; groups without executions are left out."""
    rows = (
        StatsMinute.objects.filter(group_id__in=group_ids, minute__gt=now - RECENT)
        .values_list("group_id")
        .annotate(seconds=Sum("run_seconds"), runs=Sum(F("succeeded") + F("retried") + F("failed")))
        .filter(runs__gt=0)
    )
    return {group_id: seconds / runs for group_id, seconds, runs in rows}
