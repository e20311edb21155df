"""Once: a single instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from timers.domain.json_schema import DURATION, INSTANT, maybe
from timers.exceptions import InvalidRequest
from timers.schedules.duration import parse_duration
from timers.schedules.instant import format_instant, parse_instant
from timers.schedules.kinds import Context, Keyword, register
from timers.schedules.schedule import Missed, Schedule
from timers.schedules.spec_fields import SpecFields
from timers.schedules.zones import zone


@register
@dataclass(frozen=True, slots=True)
class Once(Schedule):
    """Due at `at`, and never again."""

    kind: ClassVar[str] = "once"
    summary: ClassVar[str] = "fire once, at an instant or after a duration"
    keywords: ClassVar[tuple[Keyword, ...]] = (
        Keyword("at", maybe(INSTANT), "the instant, with its offset, such as 2026-11-20T15:00:27+01:00 or ...Z."),
        # A person who fills in a form gives the instant.
        Keyword("after", maybe(DURATION), is_in_form=False),
    )
    example: ClassVar[Mapping[str, Any]] = {"after": 30}
    recurring: ClassVar[bool] = False
    follows_wall_clock: ClassVar[bool] = False

    at: datetime
    time_zone: str = "UTC"

    @classmethod
    def spec_from(cls, given: Mapping[str, Any], context: Context) -> dict[str, Any]:
        others = {keyword: value for keyword, value in given.items() if keyword not in ("at", "after")}
        return {**others, "at": context.mistakes.check(lambda: _instant(given, context.now), context.now).isoformat()}

    @classmethod
    def parse(cls, spec: Mapping[str, Any], time_zone: str) -> Self:
        fields = SpecFields(spec, cls.kind, "at")
        at, where = fields.read("at", parse_instant), fields.check(lambda: zone(time_zone))
        fields.raise_if_any()
        return cls(at, where.key)

    def first(self, not_before: datetime) -> datetime | None:
        return self.at if self.at >= not_before else None

    def next_after(self, moment: datetime) -> datetime | None:
        return self.at if self.at > moment else None

    def missed(self, first: datetime, until: datetime) -> Missed:
        return Missed(self.at, 1)

    def describe(self) -> str:
        local = self.at.astimezone(zone(self.time_zone))
        return f"once at {local.replace(tzinfo=None).isoformat(sep=' ')} {self.time_zone}"

    def to_spec(self) -> dict[str, Any]:
        return {"at": format_instant(self.at)}


def _instant(given: Mapping[str, Any], now: datetime) -> datetime:
    if ("at" in given) == ("after" in given):
        raise InvalidRequest("at", "give either at (an instant) or after (a duration from now)")
    if "at" in given:
        return parse_instant(given["at"], "at")
    return now + timedelta(microseconds=parse_duration(given["after"], "after", allow_zero=True))
