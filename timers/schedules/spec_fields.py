"""The fields of a spec: all that are needed are there, no others but those that may be, and each makes sense."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from timers.domain.errors import ErrorCollector, Value
from timers.exceptions import InvalidRequest


class SpecFields(ErrorCollector):
    """Reads the spec of a schedule of some kind, field by field, and takes note of all that is wrong with it."""

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
        """What `read` makes of a field's value and its name; `absent` where it is not there or makes no sense."""
        if name in self._spec:
            return self.check(lambda: read(self._spec[name], name), absent)
        value: Value = absent
        return value
