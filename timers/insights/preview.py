"""Preview of a timer: its next fires under its policies and calendars, with facts from the database."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from timers.database import connection
from timers.models import Timer
from timers.models.calendars import calendars_for, named
from timers.models.due_index import IN_PART, PARTS
from timers.models.schedule_words import readable_schedule
from timers.schedules import Preview, preview
from timers.schedules.zones import zone

_RUNS: Final = 200
_MOST_OTHERS: Final = 10_000
_P95: Final = """
SELECT extract(epoch FROM percentile_cont(0.95) WITHIN GROUP (ORDER BY r.lasted))::float
FROM (SELECT finished_at - started_at AS lasted FROM timers_attempt
      WHERE timer_id = %s AND started_at IS NOT NULL ORDER BY id DESC LIMIT %s) r
"""
_OTHERS: Final = f"""
SELECT count(*) FROM (
    SELECT 1
    FROM timers_timer_group g, {PARTS},
         LATERAL (SELECT t.id FROM timers_timer t
                  WHERE {IN_PART}
                    AND t.next_fire_at >= %(second)s AND t.next_fire_at < %(second)s + interval '1 second') d
    WHERE g.state = 'active' AND NOT g.sandbox AND d.id IS DISTINCT FROM %(timer)s
    LIMIT %(most)s) found
"""


def preview_of(timer: Timer, n: int = 10, *, after: datetime) -> Preview:
    """Preview the next `n` fires of a timer after a moment, with a description and warnings.

    The timer need not be stored: a form can preview one that has a group and a schedule. Raises InvalidRequest if its
    schedule, its overrides or one of its calendars is invalid.
    """
    policies = timer.policies()
    left = None if timer.max_fires is None else max(0, timer.max_fires - timer.fire_count)
    return preview(
        readable_schedule(timer.schedule_kind, timer.schedule, timer.time_zone),
        n,
        after=after - timer.offset,
        zone=zone(timer.time_zone),
        start_at=timer.start_at,
        end_at=timer.end_at,
        max_fires=left,
        jitter_offset=timer.offset,
        exclusions=list(named(policies, calendars_for([policies]))),
        on_excluded=policies.on_excluded,
        p95_seconds=_p95_seconds(timer),
        crowd=lambda instant: _others_due(timer, instant),
    )


def _p95_seconds(timer: Timer) -> float | None:
    """Return the 95th percentile in seconds of the run times of the timer's latest attempts; None if there was none."""
    if timer.pk is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_P95, (timer.pk, _RUNS))
        (seconds,) = cursor.fetchone()
        return None if seconds is None else float(seconds)


def _others_due(timer: Timer, instant: datetime) -> int:
    """Return the number of other timers due in the second of an instant, counted up to 10,000."""
    with connection.cursor() as cursor:
        cursor.execute(_OTHERS, {"second": instant.replace(microsecond=0), "timer": timer.pk, "most": _MOST_OTHERS})
        (others,) = cursor.fetchone()
        return int(others)
