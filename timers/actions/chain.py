"""The chain action: the execution is an order that passes through the steps of a chain of the group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest


@dataclass(frozen=True, slots=True)
class ChainAction:
    """Start an order of the newest version of a chain."""

    kind: ClassVar[str] = "chain"
    handler: ClassVar[None] = None

    chain: str

    @property
    def name(self) -> str:
        """Name for statistics: orders of one chain are grouped together."""
        return f"chain {self.chain}"

    @property
    def words(self) -> str:
        """Short description of the action."""
        return self.name

    @classmethod
    def read(cls, spec: Mapping[str, Any], mistakes: ErrorCollector) -> ChainAction | None:
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
