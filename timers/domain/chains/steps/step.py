"""Step: base class of all kinds of steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from timers.domain.chains.limits import DEFAULT_VISITS, MAX_VISITS
from timers.domain.chains.steps import readers
from timers.domain.chains.steps.on_error import FAIL, OnError
from timers.domain.chains.steps.spec_field import spec_field, written_fields
from timers.domain.errors import ErrorCollector


@dataclass(frozen=True, slots=True)
class Exit:
    """One exit of a step."""

    field: str
    """Field of the step that names the target, below the step's path."""
    target: str
    label: str = ""
    """Label of the arrow in a picture; empty for the normal next step."""
    is_regular: bool = True
    """Whether it is taken without an error."""
    opens_branch: str | None = None
    """Name of the branch that it leads into; empty text for the branch of a map; None: it opens no branch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A node of the graph. While an order is at it, its name is the order's state in the terms of JobScheduler."""

    kind: ClassVar[str]
    can_be_passed: ClassVar[bool] = True
    """Whether orders can be stopped before it, and can skip it."""

    name: str
    description: str = spec_field(readers.text, default="")
    max_visits: int = spec_field(readers.count(1, MAX_VISITS), default=DEFAULT_VISITS)

    @property
    def skips_to(self) -> str:
        """Step that follows when this one is skipped."""
        raise NotImplementedError

    @property
    def error_policy(self) -> OnError:
        """What follows when the step fails."""
        found: OnError = getattr(self, "on_error", None) or FAIL
        return found

    def exits(self) -> Iterator[Exit]:
        """Yield all exits of the step."""
        return iter(())

    def check(self, path: str, mistakes: ErrorCollector) -> None:
        """Collect errors about fields that conflict. `path` ends with a dot."""

    def to_spec(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"kind": self.kind, **written_fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep(Step):
    """A step that is followed by another one."""

    next: str = spec_field(
        readers.step_name, remedy='Name the step that follows; one of the kind "end" ends the order.'
    )
    delay: float = spec_field(readers.seconds(), default=0)
    """Seconds between the arrival of an order and its start."""

    @property
    def skips_to(self) -> str:
        return self.next

    def exits(self) -> Iterator[Exit]:
        yield Exit("next", self.next)
        policy = self.error_policy
        if policy.target is not None:
            yield Exit("on_error.goto", policy.target, "on error", is_regular=False)
