"""The chain action: the execution is an order that passes through the steps of a chain of the group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from timers.actions.action import Action, register
from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest


@register
@dataclass(frozen=True, slots=True)
class ChainAction(Action):
    """Start an order of the newest version of a chain."""

    kind: ClassVar[str] = "chain"
    summary: ClassVar[str] = "start an order of a job chain"
    example: ClassVar[Mapping[str, Any]] = {"kind": "chain", "chain": "import"}

    chain: str

    @property
    def name(self) -> str:
        """Name for statistics: orders of one chain are grouped together."""
        return f"chain {self.chain}"

    @classmethod
    def read(cls, spec: Mapping[str, Any], mistakes: ErrorCollector) -> Self | None:
        """Read the JSON form `{"kind": "chain", "chain": name}`; errors are collected."""
        mistakes.refuse_unknown(spec, ("kind", "chain"), within="action.", where="for chain")
        name = spec.get("chain")
        if not isinstance(name, str) or not name:
            mistakes.add(InvalidRequest("action.chain", "must be the name of a chain of the group", given=name))
            return None
        return cls(name)

    def to_spec(self) -> dict[str, Any]:
        """Return the JSON form that parse reads."""
        return {"kind": self.kind, "chain": self.chain}

    def resolve(self) -> Self:
        """Return itself: an order begins, or advances, where the outcome is recorded; nothing is run."""
        return self
