"""Records: what happened outside the database, and what must hold for it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from timers.domain.execution_id import parse

Fail = Callable[[str, str], None]
"""Takes the kind and the words of a violation."""


@dataclass(slots=True)
class Effects:
    """The effects of one execution, so far."""

    fence: int = 0
    """The latest under which one has begun."""
    attempts: set[int] = field(default_factory=set)
    is_over: bool = False
    """Its final row has been seen."""


@dataclass(slots=True)
class Timer:
    """What the client knows of a timer."""

    group: str
    name: str
    at: datetime | None = None
    """The instant of a one-shot."""
    expected: int | None = None
    """Instants of a recurring timer that must be accounted for; None: not counted."""
    counts_fires: bool = False
    """Its instants follow from its runs: what counts are those that are run."""
    created: str = "ok"
    """ok, info (outcome unknown) or fail."""
    is_changed: bool = False
    """The client has changed it, or may have: what becomes of it depends on when."""
    is_cancelled: bool = False
    """A cancel was acknowledged, or may have taken effect."""


@dataclass(slots=True)
class Records:
    """What clients were told and what handlers did."""

    fail: Fail
    retries: int
    """The most retries of any timer."""
    timers: dict[str, Timer] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    """Execution of an acknowledged run -> its timer's name."""
    effects: dict[str, Effects] = field(default_factory=dict)
    ids: dict[tuple[int, int], str] = field(default_factory=dict)
    """Scheduled occurrence (timer, instant) -> its execution."""
    cancels: dict[str, set[str]] = field(default_factory=dict)
    """Name -> what the answer to its cancel named as in flight."""
    starts: int = 0

    def begin(self, execution: str, name: str, attempt: int, fence: int, now_us: int) -> None:
        """An effect begins: a handler is called, or a consumer acts on a message."""
        self.starts += 1
        occurrence, seen = parse(execution), self.effects.setdefault(execution, Effects())
        words = f"{execution} of {name}, attempt {attempt} under fence {fence}"
        if now_us < occurrence.scheduled_us:
            self.fail("early", f"{words}: {occurrence.scheduled_us - now_us} us")
        if fence <= seen.fence:
            self.fail("fence order", f"{words}: one under {seen.fence} has begun")
        if attempt in seen.attempts or attempt > self.retries + 1:
            self.fail("attempts", f"{words}: after {sorted(seen.attempts)}, at most {self.retries + 1}")
        if seen.is_over:
            self.fail("after the end", f"{words}: it has its final row")
        if name in self.cancels and execution not in self.cancels[name]:
            self.fail("after cancel", f"{words}: the cancel named {sorted(self.cancels[name])}")
        if occurrence.origin == "schedule":
            known = self.ids.setdefault((occurrence.timer_id, occurrence.scheduled_us), execution)
            if known != execution:
                self.fail("two ids", f"{words}: the occurrence has run as {known}")
        seen.fence = fence
        seen.attempts.add(attempt)

    def go_on(self, execution: str, fence: int) -> None:
        """A further effect of an attempt that has begun."""
        seen = self.effects[execution]
        if fence < seen.fence:
            self.fail("fence order", f"{execution} goes on under fence {fence}: one under {seen.fence} has begun")

    def cancelled(self, name: str, in_flight: list[str]) -> None:
        """A cancel was acknowledged."""
        self.timers[name].is_cancelled = True
        self.cancels[name] = set(in_flight)
