"""Kinds that the project brings: a schedule by the number of fires a day, and an action that notes a sale."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from timers.actions import Action, register
from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest
from timers.handlers import Fire, Handler
from timers.schedules import kinds
from timers.schedules.interval import FixedRate

SECONDS_A_DAY = 86_400


@kinds.register
@dataclass(frozen=True, slots=True)
class TimesADay(FixedRate):
    """So many fires in 24 hours."""

    kind: ClassVar[str] = "times_a_day"
    summary: ClassVar[str] = "fire so many times in 24 hours"
    keywords: ClassVar[tuple[kinds.Keyword, ...]] = (
        kinds.Keyword(
            "times", {"type": "integer", "minimum": 1}, "how often.", is_required=True, from_text=kinds.number_or_text
        ),
    )
    example: ClassVar[Mapping[str, Any]] = {"times": 24}

    @classmethod
    def parse(cls, spec: Mapping[str, Any], time_zone: str) -> Self:
        times = spec.get("times")
        if not isinstance(times, int) or times < 1:
            raise InvalidRequest("times", "must be a whole number from 1", given=times)
        rate = FixedRate.parse({"period": SECONDS_A_DAY / times, "anchor": spec.get("anchor")}, time_zone)
        return cls(rate.period, rate.anchor)

    def to_spec(self) -> dict[str, Any]:
        rate = FixedRate(self.period, self.anchor).to_spec()
        return {"times": round(SECONDS_A_DAY / rate["period"]), "anchor": rate["anchor"]}


@register
@dataclass(frozen=True, slots=True)
class SaleAction(Action):
    """Note that something is on sale."""

    kind: ClassVar[str] = "sale"
    summary: ClassVar[str] = "note a sale"
    example: ClassVar[Mapping[str, Any]] = {"kind": "sale", "item": "pears"}

    item: str

    @classmethod
    def read(cls, spec: Mapping[str, Any], mistakes: ErrorCollector) -> Self | None:
        mistakes.refuse_unknown(spec, ("kind", "item"), within="action.", where="for sale")
        if not isinstance(spec.get("item"), str):
            mistakes.add(InvalidRequest("action.item", "must be the name of an item", given=spec.get("item")))
            return None
        return cls(spec["item"])

    def to_spec(self) -> dict[str, Any]:
        return {"kind": self.kind, "item": self.item}

    @property
    def name(self) -> str:
        return f"sale of {self.item}"

    def resolve(self) -> Handler:
        return Handler(self.name, self._note, timeout=None, is_async=False)

    def _note(self, fire: Fire) -> None:
        with Path(os.environ["SHOP_NOTES"]).open("a") as notes:
            notes.write(f"{fire.name} {self.item}\n")
