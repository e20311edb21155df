"""Intervals: a fixed rate counted from an anchor, and a fixed delay counted from the end of each run.

Both follow elapsed time, so clock changes do not affect them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from timers.domain.json_schema import DURATION
from timers.schedules.duration import describe_duration, parse_duration, seconds_of
from timers.schedules.instant import before_end, format_instant, in_utc, parse_instant
from timers.schedules.kinds import Context, Keyword, number_or_text, register
from timers.schedules.schedule import Missed, Schedule
from timers.schedules.spec_fields import SpecFields
from timers.schedules.zones import zone

_SHORTEST = 1_000  # microseconds
_MICROSECOND = timedelta(microseconds=1)


@register
@dataclass(frozen=True, slots=True)
class FixedRate(Schedule):
    """Due at anchor + n * period, n = 0, 1, 2...: whole microseconds, so it never drifts."""

    kind: ClassVar[str] = "fixed_rate"
    summary: ClassVar[str] = "fire every period, counted from start_at"
    keywords: ClassVar[tuple[Keyword, ...]] = (
        Keyword(
            "period", DURATION, "seconds between two fires, or ISO 8601 such as PT1M30S.",
            is_required=True, from_text=number_or_text,
        ),
    )  # fmt: skip
    example: ClassVar[Mapping[str, Any]] = {"period": 60}
    follows_wall_clock: ClassVar[bool] = False
    starts_later: ClassVar[bool] = True
    counts_from: ClassVar[str] = "anchor"

    period: timedelta
    anchor: datetime

    @classmethod
    def spec_from(cls, given: Mapping[str, Any], context: Context) -> dict[str, Any]:
        return {**given, "anchor": context.start.isoformat()}

    @classmethod
    def parse(cls, spec: Mapping[str, Any], time_zone: str) -> Self:
        fields = SpecFields(spec, cls.kind, "period", "anchor")
        period, anchor = fields.read("period", _interval), fields.read("anchor", parse_instant)
        fields.check(lambda: zone(time_zone))
        fields.raise_if_any()
        return cls(period, anchor)

    def first(self, not_before: datetime) -> datetime | None:
        return self._instant(-((self.anchor - not_before) // self.period))

    def next_after(self, moment: datetime) -> datetime | None:
        return self._instant((moment - self.anchor) // self.period + 1)

    def missed(self, first: datetime, until: datetime) -> Missed:
        first = in_utc(first)  # datetimes of the same zone are subtracted by wall time, not by elapsed time
        beyond_first = max(0, (in_utc(until) - first) // self.period)
        return Missed(first + self.period * beyond_first, beyond_first + 1)

    def describe(self) -> str:
        return f"every {describe_duration(self.period // _MICROSECOND)}"

    def to_spec(self) -> dict[str, Any]:
        return {"period": seconds_of(self.period // _MICROSECOND), "anchor": format_instant(self.anchor)}

    def _instant(self, n: int) -> datetime | None:
        try:
            return before_end(self.anchor + self.period * n if n > 0 else self.anchor)
        except OverflowError:
            return None


@register
@dataclass(frozen=True, slots=True)
class FixedDelay(Schedule):
    """Due at once, then `delay` after the end of each run; the argument of next_after is the end of the run."""

    kind: ClassVar[str] = "fixed_delay"
    summary: ClassVar[str] = "fire when the last run has ended for a delay"
    keywords: ClassVar[tuple[Keyword, ...]] = (
        Keyword(
            "delay", DURATION, "seconds from the end of a run to the next fire, or ISO 8601.",
            is_required=True, from_text=number_or_text,
        ),
    )  # fmt: skip
    example: ClassVar[Mapping[str, Any]] = {"delay": 60}
    follows_wall_clock: ClassVar[bool] = False
    starts_later: ClassVar[bool] = True

    delay: timedelta

    @classmethod
    def parse(cls, spec: Mapping[str, Any], time_zone: str) -> Self:
        fields = SpecFields(spec, cls.kind, "delay")
        delay = fields.read("delay", _interval)
        fields.check(lambda: zone(time_zone))
        fields.raise_if_any()
        return cls(delay)

    def first(self, not_before: datetime) -> datetime | None:
        return in_utc(not_before)

    def next_after(self, moment: datetime) -> datetime | None:
        try:
            return before_end(in_utc(moment) + self.delay)
        except OverflowError:
            return None

    def missed(self, first: datetime, until: datetime) -> Missed:
        # While a run is due nothing else is: the next instant is unknown until that run has ended.
        return Missed(in_utc(first), 1)

    def describe(self) -> str:
        return f"{describe_duration(self.delay // _MICROSECOND)} after the end of each run"

    def to_spec(self) -> dict[str, Any]:
        return {"delay": seconds_of(self.delay // _MICROSECOND)}


def _interval(value: Any, field: str) -> timedelta:
    return timedelta(microseconds=parse_duration(value, field, at_least=_SHORTEST))
