"""Policies: how a group treats its timers, and what a timer may override.

The names and defaults stand here once; models, API and pages take them from here. Durations are seconds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from functools import lru_cache
from random import random
from typing import Any, Final

from timers.exceptions import SpecError

MISFIRE_POLICIES: Final = ("fire_once", "fire_all", "skip")
OVERLAP_POLICIES: Final = ("skip", "queue", "allow", "replace")
ON_EXCLUDED: Final = ("suppress", "before", "after")
ON_FAILED: Final = ("park", "drop")
ON_FINISH: Final = ("keep", "delete")

MAX_RETRIES: Final = 1000
MAX_SECONDS: Final = 366 * 24 * 3600
MAX_CATCHUP: Final = 10_000
MAX_QUEUED: Final = 1000
MAX_CALENDARS: Final = 20


@dataclass(frozen=True, slots=True)
class Retry:
    """When a try that did not succeed is followed by another.

    The wait before retry n is `min(min_backoff * 2**(n-1), max_backoff)`, so 120/600 gives 120, 240, 480, 600, 600...
    (layline.io's rule); or, where `delays` are given, the n-th of them (the last one again when they run out).
    `jitter` lengthens or shortens a wait at random by up to that fraction (0 to 1).
    """

    max_retries: int = 5
    min_backoff: float = 120
    max_backoff: float = 600
    jitter: float = 0
    delays: tuple[float, ...] = ()

    @classmethod
    def parse(cls, spec: Mapping[str, Any]) -> Retry:
        """Read a JSON retry policy; raises SpecError for every field that makes no sense."""
        _refuse_unknown(spec, {f.name for f in fields(cls)}, "retry")
        values: dict[str, Any] = dict(spec)
        problems: list[SpecError] = []

        def number(name: str, low: float, high: float) -> None:
            if name in values and not _is_number(values[name], low, high):
                problems.append(
                    SpecError(f"retry.{name}", f"must be a number from {low:g} to {high:g}", given=values[name])
                )

        number("max_retries", 0, MAX_RETRIES)
        number("min_backoff", 0, MAX_SECONDS)
        number("max_backoff", 0, MAX_SECONDS)
        number("jitter", 0, 1)
        if "max_retries" in values and not isinstance(values["max_retries"], int):
            problems.append(SpecError("retry.max_retries", "must be a whole number", given=values["max_retries"]))
        delays = values.get("delays", ())
        if not isinstance(delays, (list, tuple)) or not all(_is_number(delay, 0, MAX_SECONDS) for delay in delays):
            problems.append(SpecError("retry.delays", "must be a list of waits in seconds", given=delays))
        if problems:
            raise SpecError.combined(problems)
        policy = cls(**{**values, "delays": tuple(delays)})
        if policy.max_backoff < policy.min_backoff:
            raise SpecError("retry.max_backoff", "must not be below min_backoff", given=policy.max_backoff)
        return policy

    def wait_before(self, retry: int) -> float:
        """Seconds between a try and the given retry (1 is the first)."""
        if self.delays:
            wait = self.delays[min(retry, len(self.delays)) - 1]
        else:
            # 2**63 s is beyond any max_backoff; the bound keeps the power small for retry 1000.
            wait = min(self.min_backoff * 2.0 ** min(retry - 1, 63), self.max_backoff)
        return wait * (1 + self.jitter * (2 * random() - 1)) if self.jitter else wait

    def to_spec(self) -> dict[str, Any]:
        """The JSON form that parse reads."""
        return {**asdict(self), "delays": list(self.delays)}


@dataclass(frozen=True, slots=True)
class Policies:
    """All policies of a group, or of one timer after its overrides."""

    retry: Retry = field(default_factory=Retry)
    misfire_policy: str = "fire_once"
    misfire_grace: float = 60
    """Seconds after its instant from which a fire counts as missed."""
    max_lateness: float | None = None
    """Seconds after its instant from which a fire is skipped as expired, whatever the misfire policy; None: never."""
    max_catchup: int = 1000
    """The most missed fires that fire_all makes up for."""
    overlap_policy: str = "skip"
    max_queued: int = 1
    """The most fires that queue behind a running one."""
    pause_after_failures: int = 0
    """A timer pauses itself after so many failed executions in a row; 0: never."""
    exclusion_calendars: tuple[str, ...] = ()
    """Names of the calendars at whose instants nothing is fired."""
    on_excluded: str = "suppress"
    attempt_timeout: float = 60
    """Seconds that one try may run, where its handler names no timeout of its own."""
    on_failed: str = "park"
    on_finish: str = "keep"

    def with_overrides(self, overrides: Mapping[str, Any]) -> Policies:
        """These policies with some replaced; raises SpecError for every override that makes no sense."""
        _refuse_unknown(overrides, OVERRIDABLE, "overrides")
        values = dict(overrides)
        problems: list[SpecError] = []
        for name, allowed in _CHOICES.items():
            if name in values and values[name] not in allowed:
                problems.append(SpecError(name, f"must be one of {', '.join(allowed)}", given=values[name]))
        for name, (low, high) in _SECONDS.items():
            off = name == "max_lateness" and values.get(name) is None
            if name in values and not off and not _is_number(values[name], low, high):
                problems.append(SpecError(name, f"must be from {low:g} to {high:g} seconds", given=values[name]))
        for name, most in _COUNTS.items():
            if name in values and (not isinstance(values[name], int) or not _is_number(values[name], 0, most)):
                problems.append(SpecError(name, f"must be a whole number from 0 to {most:,}", given=values[name]))
        if "exclusion_calendars" in values:
            try:
                values["exclusion_calendars"] = _calendar_names(values["exclusion_calendars"])
            except SpecError as error:
                problems.append(error)
        if "retry" in values:
            try:
                values["retry"] = Retry.parse(values["retry"])
            except SpecError as error:
                problems.append(error)
        if problems:
            raise SpecError.combined(problems)
        return replace(self, **values)


def check_seconds(field: str, value: Any) -> float:
    """A wait in seconds; raises SpecError for what is none, and beyond 366 days."""
    if not _is_number(value, 0, MAX_SECONDS):
        raise SpecError(field, "must be from 0 seconds to 366 days", given=value)
    return float(value)


OVERRIDABLE: Final = frozenset(f.name for f in fields(Policies))
_CHOICES: Final = {
    "misfire_policy": MISFIRE_POLICIES,
    "overlap_policy": OVERLAP_POLICIES,
    "on_excluded": ON_EXCLUDED,
    "on_failed": ON_FAILED,
    "on_finish": ON_FINISH,
}
_SECONDS: Final = {
    "misfire_grace": (0.0, float(MAX_SECONDS)),
    "max_lateness": (0.0, float(MAX_SECONDS)),
    "attempt_timeout": (0.01, float(MAX_SECONDS)),
}
_COUNTS: Final = {"max_catchup": MAX_CATCHUP, "max_queued": MAX_QUEUED, "pause_after_failures": 1_000_000}


@lru_cache(maxsize=4096)
def overridden(policies: Policies, overrides_text: str) -> Policies:
    """The policies of a timer from its group's and the JSON text of its overrides (cached: rows come as text)."""
    return policies.with_overrides(json.loads(overrides_text))


def _is_number(value: Any, low: float, high: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) and low <= value <= high


def _calendar_names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) for name in value):
        raise SpecError("exclusion_calendars", "must be a list of names of exclusion calendars", given=value)
    if len(value) > MAX_CALENDARS:
        raise SpecError("exclusion_calendars", f"must name at most {MAX_CALENDARS} calendars", given=value)
    return tuple(value)


def _refuse_unknown(spec: Any, known: frozenset[str] | set[str], what: str) -> None:
    if not isinstance(spec, Mapping):
        raise SpecError(what, f"must be an object with some of {', '.join(sorted(known))}", given=spec)
    for name in spec:
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
            raise SpecError(f"{what}.{name}", f"is not known; {hint}")
