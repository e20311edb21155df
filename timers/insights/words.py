"""Durations and numbers as text, short enough for a table cell."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from typing import Final

NAMED: Final = 5
"""Number of executions that `in_flight_words` names by their ids."""


def span(seconds: float) -> str:
    """Format a duration in seconds with at most two units: 0.4 s, 42 s, 3 m 10 s, 2 h 5 m, 3 d 4 h."""
    if seconds < 0:
        return f"-{span(-seconds)}"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two(whole // 60, "m", whole % 60, "s")
    if whole < 86_400:
        return _two(whole // 3600, "h", whole % 3600 // 60, "m")
    return _two(whole // 86_400, "d", whole % 86_400 // 3600, "h")


def milliseconds(value: float) -> str:
    """Format milliseconds with a suitable unit: 0.8 ms, 84 ms, 1.24 s, 3 m 10 s."""
    if math.isinf(value):
        return "over 60 s"
    if abs(value) < 9.95:
        return f"{value:.1f} ms"
    if abs(value) < 999.5:
        return f"{value:.0f} ms"
    if abs(value) < 60_000:
        return f"{value / 1000:.2f} s"
    return span(value / 1000)


def plural(number: int, one: str, many: str = "") -> str:
    """Format a number and its noun: 1 node, 1,204 nodes."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def in_flight_words(executions: Sequence[str]) -> str:
    """Describe the executions that a change came too late for: their number and a few ids; empty if there are none."""
    if not executions:
        return ""
    more = f" and {len(executions) - NAMED:,} more" if len(executions) > NAMED else ""
    return f"{plural(len(executions), 'execution')} already in flight: {', '.join(executions[:NAMED])}{more}"


def percent(fraction: float) -> str:
    """Format a fraction as a percentage; a fraction below 1 never reads 100 %."""
    if fraction >= 1:
        return "100 %"
    return f"{min(fraction * 100, 99.99):.2f} %" if fraction > 0.99 else f"{fraction * 100:.1f} %"


def _two(number: int, unit: str, rest: int, smaller: str) -> str:
    return f"{number} {unit} {rest} {smaller}" if rest else f"{number} {unit}"


def command_line(*words: str) -> str:
    """Build a manage.py command for a shell; names are quoted: they may contain spaces and special characters."""
    return f"python manage.py {shlex.join(words)}"
