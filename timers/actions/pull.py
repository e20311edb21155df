"""The pull action: consumers claim the group's executions over HTTP; workers do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from timers.actions.action import Action, register
from timers.domain.errors import ErrorCollector


@register
@dataclass(frozen=True, slots=True)
class PullAction(Action):
    """Wait until a consumer of the group claims the execution."""

    kind: ClassVar[str] = "pull"
    summary: ClassVar[str] = "wait for a consumer that pulls"
    example: ClassVar[Mapping[str, Any]] = {"kind": "pull"}

    @property
    def name(self) -> str:
        """Name for statistics: the same for all."""
        return self.kind

    @property
    def words(self) -> str:
        """Short description of the action."""
        return "pulled by consumers"

    @classmethod
    def read(cls, spec: Mapping[str, Any], mistakes: ErrorCollector) -> Self:
        """Read the JSON form `{"kind": "pull"}`; errors are collected."""
        mistakes.refuse_unknown(spec, ("kind",), within="action.", where="for pull")
        return cls()

    def to_spec(self) -> dict[str, Any]:
        """Return the JSON form that parse reads."""
        return {"kind": self.kind}

    def resolve(self) -> str:
        """Return why no worker runs it."""
        return "its action is pull: it waits for a consumer of its group"
