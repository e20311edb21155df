"""Figures of a run, read from the ledger: how many, how fast, how late, and on which worker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from timerproject.bench.node_process import NodeProcess
from timers.models import TimerGroup

SETTLES_WITHIN: Final = 600.0


class NotDrained(Exception):
    """Raised when timers are left after the maximum duration of a run."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run's timers: ids of one `schedule_many` are consecutive, and no one else creates timers in its group."""

    group: TimerGroup
    timers: Sequence[int]

    @property
    def bounds(self) -> dict[str, Any]:
        """Query parameters that find its ledger rows by their index."""
        return {"group_id": self.group.id, "first": min(self.timers), "last": max(self.timers)}


_IS_LEFT: Final = """
SELECT EXISTS (SELECT 1 FROM timers_timer t WHERE t.group_id = %(group_id)s AND t.shard = 0 AND t.state = 'active'
                 AND t.next_fire_at <= %(due)s)
    OR EXISTS (SELECT 1 FROM timers_claim c WHERE c.group_id = %(group_id)s)
    OR EXISTS (SELECT 1 FROM timers_waiting w WHERE w.group_id = %(group_id)s AND w.state = 'ready'), timers_now()
"""


def wait_until_drained(run: Run, due: datetime, *nodes: NodeProcess) -> datetime:
    """Wait until nothing that was due at `due` is left in the group; return the database's now of that look.

    Raises NodeFailed if one of the nodes ends meanwhile, and NotDrained if something is left for too long.
    """
    deadline = time.monotonic() + SETTLES_WITHIN
    last_fired = False
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            for node in nodes:
                node.check()
            asked = time.monotonic()
            if not last_fired:
                # Cheap while thousands are due, and despite the dead rows of a held snapshot: checks the last id first.
                cursor.execute("SELECT last_fire_at IS NOT NULL FROM timers_timer WHERE id = %s", (run.timers[-1],))
                (last_fired,) = cursor.fetchone()
            if last_fired:
                cursor.execute(_IS_LEFT, {"group_id": run.group.id, "due": due})
                left, now = cursor.fetchone()
                if not left:
                    return now  # type: ignore[no-any-return]
            time.sleep(max(0.02, 4 * (time.monotonic() - asked)))
    raise NotDrained(f"timers of {run.group.name} were left after {SETTLES_WITHIN:g} s")


_DRAINED: Final = """
SELECT count(*) FILTER (WHERE outcome = 'succeeded'), count(*), min(started_at), max(finished_at),
       count(DISTINCT fence)
FROM timers_attempt WHERE timer_id BETWEEN %(first)s AND %(last)s AND group_id = %(group_id)s
"""
_SHARES: Final = """
SELECT node, worker, count(*) FROM timers_attempt
WHERE timer_id BETWEEN %(first)s AND %(last)s AND group_id = %(group_id)s GROUP BY node, worker ORDER BY node, worker
"""
_TENTHS: Final = """
SELECT count(*) / greatest(extract(epoch FROM max(finished_at) - min(finished_at)), 0.000001)
FROM (SELECT finished_at, ntile(10) OVER (ORDER BY finished_at) AS tenth FROM timers_attempt
      WHERE timer_id BETWEEN %(first)s AND %(last)s AND group_id = %(group_id)s) t
GROUP BY tenth ORDER BY tenth
"""


def drained(run: Run, seen_empty_at: datetime) -> dict[str, Any]:
    """Return executions per second, from the first start to the look that found all recorded, and raw numbers."""
    with connection.cursor() as cursor:
        cursor.execute(_DRAINED, run.bounds)
        succeeded, rows, first_start, last_end, batches = cursor.fetchone()
        cursor.execute(_TENTHS, run.bounds)
        tenths = [round(float(rate)) for (rate,) in cursor.fetchall()]
    seconds = (seen_empty_at - first_start).total_seconds()
    return {
        "executions": succeeded,
        "other_rows": rows - succeeded,
        "seconds": round(seconds, 3),
        "per_second": round(succeeded / seconds),
        "per_second_until_last_handler_end": round(succeeded / max((last_end - first_start).total_seconds(), 1e-6)),
        "per_second_by_tenth": tenths,
        "claims": batches,
        "by_worker": shares(run),
    }


def shares(run: Run) -> dict[str, int]:
    """Return how many executions each worker has run, by `node/worker`, where nodes are numbered from 1."""
    with connection.cursor() as cursor:
        cursor.execute(_SHARES, run.bounds)
        return {f"{node.rpartition('-')[2]}/{worker}": count for node, worker, count in cursor.fetchall()}


_LATENESS: Final = """
SELECT count(*), count(*) FILTER (WHERE started_at < scheduled_for),
       percentile_cont(ARRAY[0, 0.5, 0.9, 0.99, 1]) WITHIN GROUP (
           ORDER BY extract(epoch FROM started_at - scheduled_for)::float8 * 1000)
FROM timers_attempt
WHERE timer_id BETWEEN %(first)s AND %(last)s AND group_id = %(group_id)s AND attempt = 1
  AND started_at IS NOT NULL
"""


def lateness(run: Run) -> dict[str, Any]:
    """Return start minus scheduled instant in milliseconds, both by the database clock; `early` must be 0."""
    with connection.cursor() as cursor:
        cursor.execute(_LATENESS, run.bounds)
        executions, early, quantiles = cursor.fetchone()
    named = dict(zip(("least", "p50", "p90", "p99", "most"), quantiles or [], strict=False))
    return {"executions": executions, "early": early, "ms": {name: round(ms, 3) for name, ms in named.items()}}


_FIRES: Final = """
SELECT count(*) FILTER (WHERE outcome = 'succeeded'), count(*) FILTER (WHERE outcome <> 'succeeded'),
       COALESCE(sum(missed_count), 0)
FROM timers_attempt
WHERE timer_id BETWEEN %(first)s AND %(last)s AND group_id = %(group_id)s
  AND scheduled_for >= %(since)s AND scheduled_for < %(until)s
"""


def fires_between(run: Run, since: datetime, until: datetime) -> dict[str, Any]:
    """Count the recorded occurrences of a period: succeeded, skipped or failed, and missed."""
    with connection.cursor() as cursor:
        cursor.execute(_FIRES, {**run.bounds, "since": since, "until": until})
        succeeded, others, missed = cursor.fetchone()
    seconds = (until - since).total_seconds()
    return {
        "seconds": round(seconds, 3), "executions": succeeded, "per_second": round(succeeded / seconds),
        "skipped_or_failed": others, "missed": int(missed),
    }  # fmt: skip
