"""The python action: call a registered handler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest


@dataclass(frozen=True, slots=True)
class PythonAction:
    """Call a handler with the Fire."""

    kind: ClassVar[str] = "python"

    handler: str

    @property
    def name(self) -> str:
        """Name for statistics: calls of one handler are grouped together."""
        return self.handler

    @property
    def words(self) -> str:
        """Short description of the action."""
        return self.handler

    @classmethod
    def read(cls, spec: Mapping[str, Any], mistakes: ErrorCollector) -> PythonAction | None:
        """Read the JSON form `{"kind": "python", "handler": name}`; errors are collected."""
        mistakes.refuse_unknown(spec, ("kind", "handler"), within="action.", where="for python")
        name = spec.get("handler")
        if not isinstance(name, str) or not name:
            mistakes.add(InvalidRequest("action.handler", "must be the name of a handler", given=name))
            return None
        return cls(name)

    def to_spec(self) -> dict[str, Any]:
        """Return the JSON form that parse reads."""
        return {"kind": self.kind, "handler": self.handler}
