"""The pull action: the group's executions are fetched by consumers, over HTTP, and by no worker."""

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
        """Read the JSON form `{"kind": "pull"}`; what is wrong is noted."""
        mistakes.refuse_unknown(spec, ("kind",), within="action.", where="for pull")
        return cls()

    def to_spec(self) -> dict[str, Any]:
        """The JSON form that parse reads."""
        return {"kind": self.kind}
