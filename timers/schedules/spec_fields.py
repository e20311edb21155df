"""Reader of the fields of a spec: required ones are present, unknown ones are refused, and each is valid."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from timers.domain.errors import ErrorCollector, Value
from timers.exceptions import InvalidRequest


class SpecFields(ErrorCollector):
    """Reads the spec of a schedule of some kind, field by field, and collects all errors."""

    def __init__(self, spec: Mapping[str, Any], kind: str, *needed: str, optional: Collection[str] = ()) -> None:
        super().__init__()
        self._spec = spec
        if spec.keys() == set(needed):
            return
        for name in needed:
            if name not in spec:
                self.add(InvalidRequest(name, f"is missing: a {kind} schedule needs it"))
        self.refuse_unknown(spec, (*needed, *optional), where=f"for {kind}")

    def read(self, name: str, read: Callable[[Any, str], Value], absent: Any = None) -> Value:
        """Read a field with `read`, which takes its value and its name; return `absent` if it is missing or invalid."""
        if name in self._spec:
            return self.check(lambda: read(self._spec[name], name), absent)
        value: Value = absent
        return value
