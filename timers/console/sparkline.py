"""A minute-by-minute chart as SVG shapes: drawn on the server, styled by the page's own stylesheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from timers.insights.rates import Minute

BAR: Final = 4
"""Width of a minute, its gap included, in the chart's own units."""
HEIGHT: Final = 36


@dataclass(frozen=True, slots=True)
class Bar:
    """One minute: what succeeded below, what did not (yet) on top of it."""

    x: int
    y: float
    height: float
    bad_y: float
    bad_height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars, their box, and the highest minute."""

    bars: tuple[Bar, ...]
    width: int
    height: int
    peak: int


def chart(minutes: Sequence[Minute]) -> Chart:
    """The chart of these minutes; a minute in which anything happened is at least visible."""
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
