"""The step that runs an action: a handler, a call, anything that a timer can do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from timers.domain.chains.limits import MAX_ORDERS
from timers.domain.chains.steps import readers
from timers.domain.chains.steps.on_error import FAIL, RETRY, OnError, read_on_error, written
from timers.domain.chains.steps.spec_field import spec_field
from timers.domain.chains.steps.step import Exit, NextStep
from timers.domain.errors import ErrorCollector
from timers.domain.policies import MAX_RETRIES, Retry
from timers.exceptions import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class RetriedStep(NextStep):
    """A step that can be retried; each retry is counted as a setback."""

    on_error: OnError | None = spec_field(read_on_error("retry", "suspend", "fail"), written, default=None)
    """None: retry if `retry` or `max_setbacks` is given, otherwise fail."""
    retry: Retry | None = spec_field(readers.retry, Retry.to_spec, default=None)
    """Retry policy; None: the default policy of groups."""
    max_setbacks: int | None = spec_field(readers.count(0, MAX_RETRIES), default=None)
    """Maximum number of retries; None: as `retry` says."""
    on_exhausted: OnError = spec_field(read_on_error("suspend", "fail"), written, default=FAIL)
    """What follows when no retry is left."""
    results: tuple[tuple[str, str], ...] = spec_field(readers.result_pointers, dict, default=())
    """Pairs of a variable and the pointer of its value in the result."""

    @property
    def error_policy(self) -> OnError:
        if self.on_error is not None:
            return self.on_error
        return RETRY if self.retry is not None or self.max_setbacks is not None else FAIL

    @property
    def retry_policy(self) -> Retry:
        """When and how often the step is retried."""
        policy = self.retry or Retry()
        return policy if self.max_setbacks is None else replace(policy, max_retries=self.max_setbacks)

    def exits(self) -> Iterator[Exit]:
        yield from NextStep.exits(self)
        if self.on_exhausted.target is not None:
            yield Exit("on_exhausted.goto", self.on_exhausted.target, "when retries are used up", is_regular=False)

    def check(self, path: str, mistakes: ErrorCollector) -> None:
        if self.error_policy == RETRY:
            return
        for field in ("retry", "max_setbacks"):
            if getattr(self, field) is not None:
                mistakes.add(InvalidRequest(path + field, 'has no effect. Set on_error to "retry", or remove it.'))
        if self.on_exhausted != FAIL:
            mistakes.add(InvalidRequest(f"{path}on_exhausted", 'has no effect. Set on_error to "retry", or remove it.'))


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionStep(RetriedStep):
    """Run an action with the variables of the order as its payload."""

    kind: ClassVar[str] = "action"

    action: Mapping[str, Any] = spec_field(
        readers.json_object, dict, remedy='Give an action such as {"kind": "python", "handler": "orders.fetch"}.'
    )
    timeout: float | None = spec_field(readers.seconds(0.01), default=None)
    """Seconds that one attempt may run; None: as for other executions of the group."""
    required_roles: tuple[str, ...] = spec_field(readers.names, list, default=())
    max_orders: int | None = spec_field(readers.count(1, MAX_ORDERS, ". To run none, stop the step."), default=None)
    """Maximum number of orders that run this step at once, in the whole cluster."""
    locks: tuple[str, ...] = spec_field(readers.names, list, default=())
    """Locks that an order holds while it runs the step."""
