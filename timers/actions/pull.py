"""The pull action: consumers claim the group's executions over HTTP; workers do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from timers.domain.errors import ErrorCollector


@dataclass(frozen=True, slots=True)
class PullAction:
    """Wait until a consumer of the group claims the execution."""

    kind: ClassVar[str] = "pull"
    handler: ClassVar[None] = None
    name: ClassVar[str] = "pull"
    words: ClassVar[str] = "pulled by consumers"

    @classmethod
    def read(cls, spec: Mapping[str, Any], mistakes: ErrorCollector) -> PullAction:
        """Read the JSON form `{"kind": "pull"}`; errors are collected."""
        mistakes.refuse_unknown(spec, ("kind",), within="action.", where="for pull")
        return cls()

    def to_spec(self) -> dict[str, Any]:
        """Return the JSON form that parse reads."""
        return {"kind": self.kind}
