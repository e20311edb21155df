"""Cron: a cron expression read on the wall clock of a time zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

from cronsim import CronSim, CronSimError

from timers.exceptions import SpecError
from timers.schedules.schedule import Missed, Schedule
from timers.schedules.spec_fields import require_fields
from timers.schedules.zones import zone

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Cron(Schedule):
    """Due whenever the wall clock of the zone matches the expression."""

    kind: ClassVar[str] = "cron"

    expression: str
    time_zone: str = "UTC"

    @classmethod
    def parse(cls, spec: Mapping[str, Any], time_zone: str) -> Self:
        require_fields(spec, cls.kind, "expression")
        expression = spec["expression"]
        if not isinstance(expression, str) or len(expression) > 256:
            raise SpecError("expression", "must be a cron expression of at most 256 characters", given=expression)
        try:
            CronSim(expression, datetime(2026, 1, 1))
        except CronSimError as error:
            raise SpecError("expression", str(error), given=expression) from None
        return cls(expression, zone(time_zone).key)

    def first(self, not_before: datetime) -> datetime | None:
        return self.next_after(not_before - _MICROSECOND)

    def next_after(self, moment: datetime) -> datetime | None:
        for instant in CronSim(self.expression, moment.astimezone(zone(self.time_zone))):
            if (instant := instant.astimezone(UTC)) > moment:
                return instant
        return None

    def missed(self, first: datetime, until: datetime) -> Missed:
        latest, count = first, 1
        while (following := self.next_after(latest)) is not None and following <= until:
            latest, count = following, count + 1
        return Missed(latest, count)

    def describe(self) -> str:
        return f"{CronSim(self.expression, datetime(2026, 1, 1)).explain()} ({self.time_zone})"

    def to_spec(self) -> dict[str, Any]:
        return {"expression": self.expression}
