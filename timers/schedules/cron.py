"""Cron: a cron expression on the wall clock of a time zone.

What happens at a clock change depends on the expression, as in Debian's cron, unless `gap` and `fold` are given:

- An expression that names times of the day (`30 2 * * *`) fires once for each of them. A skipped time fires at the end
  of the gap (several skipped times together once); a repeated time fires the first time.
- An expression that repeats through the hours or minutes (`*/20 * * * *`) fires at whatever the clock shows: nothing in
  a gap, and both times in a fold.

The same applies to 6 and 7 fields, so `0 30 2 * * *` fires exactly when `30 2 * * *` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo

from timers.schedules.clock_policy import BY_DEFAULT, ClockPolicy
from timers.schedules.clock_policy import FIELDS as POLICY_FIELDS
from timers.schedules.clock_policy import KEYWORDS as POLICY_KEYWORDS
from timers.schedules.cron_expression import CronExpression
from timers.schedules.kinds import Context, Keyword, register
from timers.schedules.spec_fields import SpecFields
from timers.schedules.wall_pattern import WallPattern
from timers.schedules.wall_schedule import WallSchedule
from timers.schedules.zones import zone


@register
@dataclass(frozen=True, slots=True)
class Cron(WallSchedule):
    """Due whenever the wall clock of the zone matches the expression."""

    kind: ClassVar[str] = "cron"
    summary: ClassVar[str] = "fire when the clock matches a cron expression of 5 to 7 fields"
    keywords: ClassVar[tuple[Keyword, ...]] = (
        Keyword(
            "expression",
            {"type": "string", "maxLength": 256, "examples": ["30 2 * * *"]},
            "minute hour day month weekday, such as 30 2 * * mon-fri; six fields begin with seconds, seven end with the"
            " year; or an alias such as @daily.",
            is_required=True,
        ),
        *POLICY_KEYWORDS,
    )
    example: ClassVar[Mapping[str, Any]] = {"expression": "30 2 * * mon-fri"}

    expression: CronExpression
    zone: ZoneInfo
    given_policy: ClockPolicy = BY_DEFAULT

    @classmethod
    def spec_from(cls, given: Mapping[str, Any], context: Context) -> dict[str, Any]:
        # H in an expression is a value that the name decides.
        return {**given, "seed": context.name}

    @classmethod
    def parse(cls, spec: Mapping[str, Any], time_zone: str) -> Self:
        fields = SpecFields(spec, cls.kind, "expression", optional=("seed", *POLICY_FIELDS))
        expression = fields.read("expression", lambda text, _: CronExpression.parse(text, spec.get("seed")))
        where, policy = fields.check(lambda: zone(time_zone)), fields.check(lambda: ClockPolicy.parse(spec))
        fields.raise_if_any()
        return cls(expression, where, policy)

    @property
    def walls(self) -> WallPattern:
        return self.expression.pattern

    @property
    def policy(self) -> ClockPolicy:
        return self.given_policy.completed(once_a_day=self.expression.names_fixed_times)

    def describe(self) -> str:
        return f"{self.expression.explain()}, {self.zone.key}"

    def to_spec(self) -> dict[str, Any]:
        seed = {} if self.expression.seed is None else {"seed": self.expression.seed}
        return {"expression": self.expression.text, **seed, **self.given_policy.to_spec()}

    def meaning(self) -> object:
        # H is a different rule than its value: with another seed it has another value.
        return self.walls.meaning(), self.policy, self.expression.seed
