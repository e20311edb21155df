"""The python action: call a registered handler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from timers.exceptions import SpecError


@dataclass(frozen=True, slots=True)
class PythonAction:
    """Call the handler of that name with the Fire."""

    kind: ClassVar[str] = "python"

    handler: str

    @property
    def name(self) -> str:
        """What is measured and grouped together: calls of one handler."""
        return self.handler

    @property
    def words(self) -> str:
        """The action in a few words."""
        return self.handler

    @classmethod
    def parse(cls, spec: Mapping[str, Any]) -> PythonAction:
        """Read the JSON form `{"kind": "python", "handler": name}`; raises SpecError."""
        unknown = set(spec) - {"kind", "handler"}
        if unknown:
            raise SpecError(f"action.{min(unknown)}", "is not known; a python action has only a handler")
        name = spec.get("handler")
        if not isinstance(name, str) or not name:
            raise SpecError("action.handler", "must be the name of a handler", given=name)
        return cls(name)

    def to_spec(self) -> dict[str, Any]:
        """The JSON form that parse reads."""
        return {"kind": self.kind, "handler": self.handler}
