"""The python action: call a registered handler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from timers import handlers
from timers.actions.action import Action, register
from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest
from timers.handlers import Handler


@register
@dataclass(frozen=True, slots=True)
class PythonAction(Action):
    """Call a handler with the Fire."""

    kind: ClassVar[str] = "python"
    summary: ClassVar[str] = "call a handler"
    example: ClassVar[Mapping[str, Any]] = {"kind": "python", "handler": "vendors.process"}

    called: str
    """Name of the handler."""

    @property
    def handler(self) -> str:
        """Name of the handler, which the claiming worker must know."""
        return self.called

    @property
    def is_async(self) -> bool:
        """Whether the handler is async, as far as this process knows it."""
        handler = handlers.find(self.called)
        return handler is not None and handler.is_async

    @property
    def name(self) -> str:
        """Name for statistics: calls of one handler are grouped together."""
        return self.called

    @classmethod
    def read(cls, spec: Mapping[str, Any], mistakes: ErrorCollector) -> Self | None:
        """Read the JSON form `{"kind": "python", "handler": name}`; errors are collected."""
        mistakes.refuse_unknown(spec, ("kind", "handler"), within="action.", where="for python")
        name = spec.get("handler")
        if not isinstance(name, str) or not name:
            mistakes.add(InvalidRequest("action.handler", "must be the name of a handler", given=name))
            return None
        return cls(name)

    def to_spec(self) -> dict[str, Any]:
        """Return the JSON form that parse reads."""
        return {"kind": self.kind, "handler": self.called}

    def resolve(self) -> Handler | str:
        """Return the handler, or that this process has none of that name."""
        return handlers.find(self.called) or f"no handler named {self.called!r} is registered on this node"
