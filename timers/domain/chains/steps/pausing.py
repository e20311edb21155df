"""The steps at which an order waits: for a person, for a signal, for an instant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from timers.domain.chains.steps import readers
from timers.domain.chains.steps.on_error import FAIL, OnError, read_on_error, written
from timers.domain.chains.steps.spec_field import spec_field
from timers.domain.chains.steps.step import Exit, NextStep
from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest
from timers.schedules.cron import Cron
from timers.schedules.instant import format_instant, parse_instant


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalStep(NextStep):
    """Wait until a person approves or refuses."""

    kind: ClassVar[str] = "approval"

    text: str = spec_field(readers.text, default="")
    """Question shown to the person."""
    refused: str | None = spec_field(readers.step_name, default=None)
    """Step that follows a refusal; None: the step fails."""
    deadline: float | None = spec_field(readers.seconds(1), default=None)
    """Seconds until the default applies; None: no deadline."""
    default: str = spec_field(readers.one_of("approve", "refuse", "fail"), default="fail")
    """What applies when the deadline passes."""
    on_error: OnError = spec_field(read_on_error("suspend", "fail"), written, default=FAIL)

    def exits(self) -> Iterator[Exit]:
        yield from NextStep.exits(self)
        if self.refused is not None:
            yield Exit("refused", self.refused, "refused")

    def check(self, path: str, mistakes: ErrorCollector) -> None:
        if self.default != "fail" and self.deadline is None:
            mistakes.add(
                InvalidRequest(f"{path}default", "has no effect without a deadline. Give a deadline, or remove it.")
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalStep(NextStep):
    """Wait for a named signal; its payload can set variables."""

    kind: ClassVar[str] = "signal"

    signal: str | None = spec_field(readers.name, default=None)
    """Name of the signal; None: the name of the step."""
    deadline: float | None = spec_field(readers.seconds(1), default=None)
    """Seconds until on_deadline applies; None: no deadline."""
    on_deadline: OnError = spec_field(read_on_error("fail"), written, default=FAIL)
    """What follows when the deadline passes: the step fails, or the order goes to another one."""
    results: tuple[tuple[str, str], ...] = spec_field(readers.result_pointers, dict, default=())
    on_error: OnError = spec_field(read_on_error("suspend", "fail"), written, default=FAIL)

    @property
    def awaited(self) -> str:
        """Name of the signal."""
        return self.signal or self.name

    def exits(self) -> Iterator[Exit]:
        yield from NextStep.exits(self)
        if self.on_deadline.target is not None:
            yield Exit("on_deadline.goto", self.on_deadline.target, "too late")

    def check(self, path: str, mistakes: ErrorCollector) -> None:
        if self.on_deadline != FAIL and self.deadline is None:
            mistakes.add(
                InvalidRequest(f"{path}on_deadline", "has no effect without a deadline. Give a deadline, or remove it.")
            )


def cron_text(given: Any, field: str) -> str:
    """Validate a cron expression. Raises InvalidRequest."""
    try:
        Cron.parse({"expression": given}, "UTC")
    except InvalidRequest as error:
        raise InvalidRequest.combined(InvalidRequest(field, each.message) for each in error.problems) from None
    return str(given)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitStep(NextStep):
    """Wait for a duration, until an instant, or until a cron expression next fires."""

    kind: ClassVar[str] = "wait"

    delay: float = 0
    duration: float | None = spec_field(readers.seconds(0.001), default=None)
    until: datetime | None = spec_field(parse_instant, format_instant, default=None)
    cron: str | None = spec_field(cron_text, default=None)
    time_zone: str = spec_field(readers.name, default="UTC")

    def check(self, path: str, mistakes: ErrorCollector) -> None:
        given = [name for name in ("duration", "until", "cron") if getattr(self, name) is not None]
        if len(given) != 1:
            words = f"has {' and '.join(given)}" if given else "says no time"
            mistakes.add(InvalidRequest(path[:-1], f"{words}. Give one of duration, until and cron."))
        elif self.cron is not None:
            try:
                Cron.parse({"expression": self.cron}, self.time_zone)
            except InvalidRequest as error:
                mistakes.add(InvalidRequest(f"{path}time_zone", error.problems[0].message))
        elif self.time_zone != "UTC":
            mistakes.add(InvalidRequest(f"{path}time_zone", "is for cron alone. Remove it."))

    def ends_at(self, now: datetime) -> datetime | None:
        """Return when a wait that begins now ends; None: the cron expression never fires again."""
        if self.duration is not None:
            return now + timedelta(seconds=self.duration)
        if self.until is not None:
            return max(self.until, now)
        return Cron.parse({"expression": self.cron}, self.time_zone).next_after(now)
