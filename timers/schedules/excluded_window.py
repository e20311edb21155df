"""The rule of exclusion calendars that excludes windows, which begin by a cron expression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Self
from zoneinfo import ZoneInfo

from timers.exceptions import SpecError
from timers.schedules.cron import Cron
from timers.schedules.cron_expression import CronExpression
from timers.schedules.duration import describe_duration, parse_duration, seconds_of
from timers.schedules.stretches import Stretch

MOST_WINDOWS_A_DAY = 48
"""That one rule may begin; the rules of a calendar together may begin twice as many."""
LONGEST_WINDOW = 31 * 86_400 * 1_000_000  # microseconds
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ExcludedWindow:
    """A window that begins whenever the wall clock matches a cron expression, and lasts so much elapsed time."""

    expression: CronExpression
    duration: timedelta

    @classmethod
    def parse(cls, rule: Mapping[str, Any], field: str) -> Self:
        try:
            expression = CronExpression.parse(rule["cron"])
        except SpecError as error:
            raise SpecError(f"{field}.cron", error.problems[0].message) from None
        if expression.pattern.times.total > MOST_WINDOWS_A_DAY:
            message = f"begins more than {MOST_WINDOWS_A_DAY} times a day: name the times at which a window begins"
            raise SpecError(f"{field}.cron", message, given=rule["cron"])
        length = parse_duration(rule["duration"], f"{field}.duration", at_least=1_000_000, at_most=LONGEST_WINDOW)
        return cls(expression, timedelta(microseconds=length))

    @property
    def a_day(self) -> int:
        """How many windows begin on a day, at most."""
        return self.expression.pattern.times.total

    def reason(self, instant: datetime, zone: ZoneInfo) -> str | None:
        """Why a UTC instant is excluded; None: it is not."""
        begin = _cron(self.expression, zone).next_after(instant - self.duration)
        if begin is None or begin > instant:
            return None
        return f"window {self.expression.text} for {describe_duration(self.duration // _MICROSECOND)}"

    def stretches(self, begin: datetime, end: datetime, zone: ZoneInfo) -> Iterator[Stretch]:
        """The windows of which something lies from `begin` to before `end`, whole; they may overlap."""
        cron = _cron(self.expression, zone)
        start = cron.next_after(begin - self.duration)
        while start is not None and start < end:
            # Where the next begins before this one ends, the last that does tells where all of them end.
            missed = cron.missed(start, min(start + self.duration, end))
            latest = start if missed is None else missed.latest
            yield Stretch(start, latest + self.duration)
            start = cron.next_after(latest)

    def to_spec(self) -> dict[str, Any]:
        return {"cron": self.expression.text, "duration": seconds_of(self.duration // _MICROSECOND)}


@lru_cache(maxsize=1024)
def _cron(expression: CronExpression, zone: ZoneInfo) -> Cron:
    return Cron(expression, zone)
