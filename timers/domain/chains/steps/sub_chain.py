"""The step that runs another chain, and the step that ends an order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from timers.domain.chains.steps import readers
from timers.domain.chains.steps.action import RetriedStep
from timers.domain.chains.steps.spec_field import spec_field
from timers.domain.chains.steps.step import Step
from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class SubChainStep(RetriedStep):
    """Run an order of another chain and wait for its end; its variables are the result."""

    kind: ClassVar[str] = "chain"

    chain: str = spec_field(readers.name, remedy="Name the chain to run.")
    variables: tuple[str, ...] | None = spec_field(readers.variable_names, list, default=None)
    """Variables that it begins with; None: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndStep(Step):
    """End the order, or the branch that reaches this step."""

    kind: ClassVar[str] = "end"
    can_be_passed: ClassVar[bool] = False

    outcome: str = spec_field(readers.one_of("succeeded", "failed"), default="succeeded")
    reason: str = spec_field(readers.text, default="")

    def check(self, path: str, mistakes: ErrorCollector) -> None:
        if self.reason and self.outcome == "succeeded":
            mistakes.add(InvalidRequest(f"{path}reason", 'is for the outcome "failed". Remove it, or set the outcome.'))
