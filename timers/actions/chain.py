"""The chain action: the execution is an order that walks through the steps of a chain of the group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest


@dataclass(frozen=True, slots=True)
class ChainAction:
    """Start an order of the newest version of the chain of that name."""

    kind: ClassVar[str] = "chain"
    handler: ClassVar[None] = None

    chain: str

    @property
    def name(self) -> str:
        """What is measured and grouped together: orders of one chain."""
        return f"chain {self.chain}"

    @property
    def words(self) -> str:
        """The action in a few words."""
        return self.name

    @classmethod
    def read(cls, spec: Mapping[str, Any], mistakes: ErrorCollector) -> ChainAction | None:
        """Read the JSON form `{"kind": "chain", "chain": name}`; what is wrong is noted."""
        mistakes.refuse_unknown(spec, ("kind", "chain"), within="action.", where="for chain")
        name = spec.get("chain")
        if not isinstance(name, str) or not name:
            mistakes.add(InvalidRequest("action.chain", "must be the name of a chain of the group", given=name))
            return None
        return cls(name)

    def to_spec(self) -> dict[str, Any]:
        """The JSON form that parse reads."""
        return {"kind": self.kind, "chain": self.chain}
