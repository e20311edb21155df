"""Rule: a stored schedule as a comparable value; two spellings of one rule are equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from timers.exceptions import InvalidRequest
from timers.schedules.registry import parse_stored


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """Kind and spec of a schedule, as stored.

    Rules of one kind are equal if they have the same meaning (see Schedule.meaning): `0 9 * * mon` and `0 9 * * 1`,
    `@daily` and `0 0 * * *`, the parts of a recurrence rule in another order. The time zone is not part of the rule: it
    is only needed to parse the spec. A spec that cannot be parsed is equal only to the same spec.
    """

    kind: str
    spec: Any
    time_zone: str

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rule):
            return NotImplemented
        if self.kind != other.kind or self.spec == other.spec:
            return self.kind == other.kind
        try:
            return bool(self._meaning() == other._meaning())
        except InvalidRequest:
            return False

    __hash__ = None  # type: ignore[assignment]

    def _meaning(self) -> object:
        return parse_stored(self.kind, self.spec, self.time_zone).meaning()
