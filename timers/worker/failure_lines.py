"""Failed attempts in the worker's log: a few lines of each fault are written, the rest is counted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from timers.engine.outcome import Next, Outcome, Verdict

logger = logging.getLogger(__name__)

SPAN_SECONDS: Final = 10.0
LINES_OF_A_FAULT: Final = 3
"""Maximum number of lines per fault and time span; the rest is summarized at its end."""
MAX_FAULTS: Final = 50
"""Maximum number of faults per time span that are counted separately; the others are counted together."""

_THEN: Final[dict[Next, str]] = {
    "again": "is tried again",
    "park": "has failed and waits for a person",
    "drop": "has failed and is dropped",
}

Fault = tuple[str, str, Next]
"""Group, fingerprint of the error, what follows."""
_OTHERS: Final[Fault] = ("", "", "drop")


@dataclass(slots=True)
class _Seen:
    words: str
    count: int = 0


class FailureLines:
    """Logs failed attempts; the recorder calls it, from its thread. `clock` returns monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[Fault, _Seen] = {}
        self._since = 0.0

    def tell(self, outcome: Outcome, verdict: Verdict) -> None:
        """Log or count one attempt if it failed: a discard that is shown again is not a failure."""
        then = _THEN.get(verdict.next)
        if then is None or (verdict.next == "again" and outcome.word not in ("error", "timeout")):
            return
        if not self._seen:
            self._since = self._clock()
        execution = outcome.execution
        title = _one_line(outcome.error_title or outcome.reason or outcome.word)
        fault: Fault = (execution.group.name, outcome.error_fingerprint or title, verdict.next)
        seen = self._seen.get(fault)
        if seen is None:
            if len(self._seen) >= MAX_FAULTS:
                self._seen.setdefault(_OTHERS, _Seen("of other faults")).count += 1
                return
            seen = self._seen[fault] = _Seen(f"of group {execution.group.name}: {title}; each {then}")
        seen.count += 1
        if seen.count <= LINES_OF_A_FAULT:
            if verdict.next == "again":
                wait_us = verdict.available_us - execution.group.clock.at(outcome.finished_us)
                then = f"{then} in {max(wait_us, 0) / 1_000_000:.1f} s"
            logger.warning(
                "%s/%s, try %d: %s; %s", execution.group.name, execution.name, execution.attempt, title, then
            )

    def tell_rest_if_old(self) -> None:
        """End the time span if it has lasted long enough."""
        if self._seen and self._clock() - self._since >= SPAN_SECONDS:
            self.tell_rest()

    def tell_rest(self) -> None:
        """End the time span: log how many attempts failed in addition to those logged individually."""
        for fault, seen in self._seen.items():
            more = seen.count if fault == _OTHERS else seen.count - LINES_OF_A_FAULT
            if more > 0:
                logger.warning("%d more tries in %.0f s %s", more, self._clock() - self._since, seen.words)
        self._seen = {}

    def seconds_to_rest(self) -> float:
        """Return the seconds until the time span ends; an hour if none has begun."""
        return max(self._since + SPAN_SECONDS - self._clock(), 0.01) if self._seen else 3600.0


def _one_line(text: str) -> str:
    return next(iter(text.splitlines()), "")
