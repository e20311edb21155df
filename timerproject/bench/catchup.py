"""catchup: the cost of the first decision about a timer that no node has looked at for a year."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from timers.domain.policies import MISFIRE_POLICIES, OVERLAP_POLICIES, Policies
from timers.engine.decide import Due, decide
from timers.schedules import Schedule, parse
from timers.schedules.excluding import ON_EXCLUDED, Excluding
from timers.schedules.exclusions import ExclusionCalendar
from timers.schedules.instant import format_instant, to_microseconds
from timers.schedules.zones import zone

_SINCE: Final = datetime(2025, 11, 20, 15, 0, tzinfo=UTC)
_ZONE: Final = "Europe/Berlin"
_CLOSED: Final = [{"weekdays": ["sat", "sun"]}, {"holidays": "DE", "subdivision": "BY"}]
_WINDOWS: Final = [
    {"cron": "*/30 * * * *", "duration": "PT10M"},
    {"cron": "7/30 * * * *", "duration": "PT15M"},
    {"weekdays": ["sat", "sun"]},
]
"""The maximum number of windows a day that the rules of a calendar can start."""


def measure(*, days: int) -> dict[str, Any]:
    """Measure the CPU milliseconds of one decision about a minutely timer after `days` days without a node.

    The figure is the maximum over all overlap policies; `rows` is the maximum number of rows of one decision. Writes
    nothing and starts no node.
    """
    now_us = to_microseconds(_SINCE + timedelta(days=days))
    most_rows = 0
    costs: dict[str, dict[str, float]] = {}
    for kind, schedule in _schedules().items():
        for misfire in MISFIRE_POLICIES:
            took = []
            for overlap in OVERLAP_POLICIES:
                policies = Policies(misfire_policy=misfire, overlap_policy=overlap, max_queued=1000)
                for is_open in (False, True):
                    due = Due(schedule, to_microseconds(_SINCE), is_open=is_open)
                    began = time.process_time_ns()
                    made = decide(due, policies, now_us)
                    took.append(time.process_time_ns() - began)
                    most_rows = max(most_rows, len(made.fires) + len(made.queued) + len(made.skipped))
            costs.setdefault(kind, {})[misfire] = round(max(took) / 1_000_000, 2)
    return {"instants_missed": days * 24 * 60, "cpu_ms": costs, "rows": most_rows}


def _schedules() -> dict[str, Schedule]:
    cron = parse("cron", {"expression": "* * * * *"}, _ZONE)
    closed = (ExclusionCalendar.parse("closed days", _CLOSED),)
    windows = (ExclusionCalendar.parse("windows", _WINDOWS),)
    return {
        "cron": cron,
        "calendar": parse("calendar", {"minute": "*", "hour": "*"}, _ZONE),
        "fixed_rate": parse("fixed_rate", {"period": 60, "anchor": format_instant(_SINCE)}, _ZONE),
        "cron on working days": Excluding(cron, closed, "suppress", zone(_ZONE)),
        **{f"cron between windows, {on}": Excluding(cron, windows, on, zone(_ZONE)) for on in ON_EXCLUDED},
    }
