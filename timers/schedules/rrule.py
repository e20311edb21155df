"""RRULE: an iCalendar recurrence rule (RFC 5545) on the wall clock of a time zone.

The rule counts from `start`, a wall, which also provides the parts that the rule omits. `UNTIL` in UTC is the wall that
the zone shows then; a date alone means the whole day. COUNT counts walls from the start, and INTERVAL periods.

At a clock change, a rule of days or more fires once for each of its times on every day (gap run_after, fold once); an
hourly, minutely or secondly one follows what the clock shows (skip, twice). `gap` and `fold` override this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar, Final, Self
from zoneinfo import ZoneInfo

from timers.domain.json_schema import TEXT
from timers.exceptions import InvalidRequest
from timers.schedules.clock_policy import BY_DEFAULT, ClockPolicy
from timers.schedules.clock_policy import FIELDS as POLICY_FIELDS
from timers.schedules.clock_policy import KEYWORDS as POLICY_KEYWORDS
from timers.schedules.day_rules import DayRule, Numbers
from timers.schedules.kinds import Context, Keyword, register
from timers.schedules.never import why_never
from timers.schedules.recurrence import YEARS_SEARCHED, Recurrence
from timers.schedules.recurrence_years import completed
from timers.schedules.rrule_text import WITHIN_A_DAY, RuleParts, normalised
from timers.schedules.rrule_words import rule_in_words
from timers.schedules.spec_fields import SpecFields
from timers.schedules.times_of_day import ClockTimes
from timers.schedules.wall_pattern import WallPattern
from timers.schedules.wall_schedule import WallSchedule
from timers.schedules.zones import zone

COUNTED_YEARS: Final = 100
_WALL = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?))?")


@register
@dataclass(frozen=True, slots=True)
class RRule(WallSchedule):
    """Due at the walls of the rule."""

    kind: ClassVar[str] = "rrule"
    summary: ClassVar[str] = "fire by a recurrence rule of iCalendar"
    keywords: ClassVar[tuple[Keyword, ...]] = (
        Keyword(
            "rule", {**TEXT, "examples": ["FREQ=MONTHLY;BYDAY=-1FR"]},
            "a recurrence rule of iCalendar, such as FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17;BYMINUTE=0.", is_required=True,
        ),
        *POLICY_KEYWORDS,
    )  # fmt: skip
    example: ClassVar[Mapping[str, Any]] = {"rule": "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17"}
    counts_from: ClassVar[str] = "start"

    text: str
    start: datetime
    """A wall of whole seconds."""
    zone: ZoneInfo
    parts: RuleParts = field(repr=False, compare=False)
    recurrence: Recurrence = field(repr=False, compare=False)
    given_policy: ClockPolicy = BY_DEFAULT

    @classmethod
    def spec_from(cls, given: Mapping[str, Any], context: Context) -> dict[str, Any]:
        wall = context.start.astimezone(context.zone).replace(tzinfo=None, microsecond=0)
        return {**given, "start": wall.isoformat()}

    @classmethod
    def parse(cls, spec: Mapping[str, Any], time_zone: str) -> Self:
        fields = SpecFields(spec, cls.kind, "rule", "start", optional=POLICY_FIELDS)
        start, rule = fields.read("start", _start), fields.read("rule", lambda text, _: RuleParts.parse(text))
        where, policy = fields.check(lambda: zone(time_zone)), fields.check(lambda: ClockPolicy.parse(spec))
        fields.raise_if_any()
        parts = completed(rule, start)
        recurrence = Recurrence(parts, start, parts.last_wall(where))
        if recurrence.first() is None:
            raise InvalidRequest("rule", f"never fires: {_why_never(parts)}", given=spec["rule"])
        if parts.count is not None:
            last = recurrence.nth(parts.count, COUNTED_YEARS)
            if last is None:
                raise InvalidRequest(
                    "rule", f"goes on for more than {COUNTED_YEARS} years: leave COUNT out", given=parts.count
                )
            recurrence = replace(recurrence, last=last)
        return cls(normalised(spec["rule"]), start, where, parts, recurrence, policy)

    @property
    def walls(self) -> Recurrence:
        return self.recurrence

    @property
    def policy(self) -> ClockPolicy:
        return self.given_policy.completed(once_a_day=self.parts.frequency not in WITHIN_A_DAY)

    def describe(self) -> str:
        return f"{rule_in_words(self.parts, self.recurrence.last)}, from {self.start:%Y-%m-%d}, {self.zone.key}"

    def to_spec(self) -> dict[str, Any]:
        return {"rule": self.text, "start": self.start.isoformat(), **self.given_policy.to_spec()}

    def meaning(self) -> object:
        return self.parts.meaning(), self.start, self.policy


def _start(value: Any, field: str) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is None:
        value = value.isoformat()
    found = _WALL.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        aware = isinstance(value, datetime) or (isinstance(value, str) and re.search(r"(Z|[+-]\d\d:?\d\d)$", value))
        hint = ": it is read on the wall clock of the time zone, leave the offset out" if aware else ""
        raise InvalidRequest(field, f"must be a date and time such as 2026-11-20T17:00:00{hint}", given=value)
    try:
        start = datetime.fromisoformat(f"{found[1]}T{found[2] or '00:00'}")
    except ValueError as error:
        raise InvalidRequest(field, f"is no date and time: {error}", given=value) from None
    if start.year < 1970:
        raise InvalidRequest(field, "must lie in the years 1970 to 9999", given=value)
    return start


def _why_never(parts: RuleParts) -> str:
    if parts.month_days and min(parts.month_days) > 0 and parts.months:
        rule = DayRule(of_month=(Numbers(frozenset(parts.month_days)),))
        if why := why_never(WallPattern(ClockTimes((0,), (0,)), rule, parts.months)):
            return why
    if parts.until:
        return "nothing matches between its start and UNTIL"
    return f"nothing matches within {YEARS_SEARCHED} years of its start"
