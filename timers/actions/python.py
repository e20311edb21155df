"""The python action: call a registered handler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest


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
    def read(cls, spec: Mapping[str, Any], mistakes: ErrorCollector) -> PythonAction | None:
        """Read the JSON form `{"kind": "python", "handler": name}`; what is wrong is noted."""
        mistakes.refuse_unknown(spec, ("kind", "handler"), within="action.", where="for python")
        name = spec.get("handler")
        if not isinstance(name, str) or not name:
            mistakes.add(InvalidRequest("action.handler", "must be the name of a handler", given=name))
            return None
        return cls(name)

    def to_spec(self) -> dict[str, Any]:
        """The JSON form that parse reads."""
        return {"kind": self.kind, "handler": self.handler}
