"""A chart with one bar per minute, as SVG shapes that the page's stylesheet styles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from timers.insights.rates import Minute

BAR: Final = 4
"""Width of one minute including its gap, in units of the chart."""
HEIGHT: Final = 36


@dataclass(frozen=True, slots=True)
class Bar:
    """One minute: successes at the bottom, everything that did not (yet) succeed above."""

    x: int
    y: float
    height: float
    bad_y: float
    bad_height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """The bars, their bounding box, and the highest minute."""

    bars: tuple[Bar, ...]
    width: int
    height: int
    peak: int


def chart(minutes: Sequence[Minute]) -> Chart:
    """Return the chart of these minutes. A minute with any activity has a visible bar."""
    peak = max((minute.tries for minute in minutes), default=0)
    bars = []
    for number, minute in enumerate(minutes):
        if not minute.tries:
            continue
        whole = max(HEIGHT * minute.tries / peak, 1.5)
        bad = whole * (minute.retried + minute.failed) / minute.tries
        top = HEIGHT - whole
        bars.append(
            Bar(number * BAR, round(top + bad, 2), round(whole - bad, 2), round(top, 2), round(bad, 2)),
        )
    return Chart(tuple(bars), len(minutes) * BAR, HEIGHT, peak)
