"""Schedules: pure rules that compute when something is due.

A schedule is stored as a kind, a JSON spec and a time zone, and parsed to a frozen value. This package depends neither
on Django nor on the database or the present time.
"""

from __future__ import annotations

# First of all: it imports the kinds, in the order in which they are listed everywhere.
from timers.schedules.registry import is_remembered, parse, parse_stored, parse_text  # isort: skip

from timers.schedules.kinds import KINDS
from timers.schedules.preview import Preview, Previewed, preview
from timers.schedules.preview_warnings import Warned
from timers.schedules.schedule import Missed, Schedule

__all__ = [
    "KINDS", "Missed", "Preview", "Previewed", "Schedule", "Warned", "is_remembered", "parse", "parse_stored",
    "parse_text", "preview",
]  # fmt: skip
