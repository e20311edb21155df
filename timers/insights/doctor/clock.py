"""Check of the database clock: recent steps, and a clock that is behind instants that it has shown before."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from timers.insights.doctor.finding import Finding, rows
from timers.insights.words import span

SHOWN_FOR: Final = 86_400
"""Seconds for which a step is reported."""
BEHIND: Final = 2.5
"""Seconds by which the clock may be behind timestamps that it has written."""

_STEP: Final = """
SELECT at, seconds, noticed_by, %(now)s < held_until AND %(now)s >= at AS held, held_until
FROM timers_clock_step WHERE at > %(now)s - %(shown)s * INTERVAL '1 second'
"""
# Both are small tables that every node writes with the database clock; the first is read by an index.
_LATEST: Final = """
SELECT GREATEST((SELECT max(at) FROM timers_cluster_event),
                (SELECT max(GREATEST(heartbeat_at, ended_at)) FROM timers_node)) AS latest
"""
_REMEDY: Final = (
    "Find out what set the clock of the database server. Let NTP slew it there (chrony: makestep only for the first"
    " updates); docs/running.md, Clocks, says what follows for timers."
)


def clock_steps(now: datetime) -> list[Finding]:
    """Report steps of the database clock within a day, and a clock that is behind what it has shown before."""
    found = rows(_STEP, {"now": now, "shown": SHOWN_FOR})
    latest = rows(_LATEST)[0]["latest"]
    behind = 0.0 if latest is None else (latest - now).total_seconds()
    findings = [Finding("warning", _words(row, now), _REMEDY, ({"noticed by": row["noticed_by"]},)) for row in found]
    if behind > BEHIND:
        what = (
            f"The database clock is {span(behind)} behind an instant that it has shown before. Timers that are due"
            " within that time wait until it has come there again; those that have fired do not fire again."
        )
        findings.append(Finding("error", what, _REMEDY))
    return findings


def _words(row: dict[str, Any], now: datetime) -> str:
    direction = "forward" if row["seconds"] > 0 else "back"
    text = (
        f"The database clock stepped {direction} by {span(abs(row['seconds']))} at {row['at']:%Y-%m-%d %H:%M:%S} UTC."
    )
    if row["at"] > now:
        return f"{text} It has been set back since."
    if row["held"]:
        text += f" Claims and rescue are held until {row['held_until']:%H:%M:%S} UTC at the latest."
    return text
