"""Once: a single instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Self

from timers.schedules.instant import format_instant, parse_instant
from timers.schedules.schedule import Missed, Schedule
from timers.schedules.spec_fields import SpecFields
from timers.schedules.zones import zone


@dataclass(frozen=True, slots=True)
class Once(Schedule):
    """Due at `at`, and never again."""

    kind: ClassVar[str] = "once"
    recurring: ClassVar[bool] = False

    at: datetime
    time_zone: str = "UTC"

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
