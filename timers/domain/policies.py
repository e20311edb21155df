"""Policies: how a group treats its timers, and what a timer may override.

Names and defaults are defined only here; models, API and pages use them. Durations are in seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from random import random
from typing import Any, Final

from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest
from timers.schedules.duration import parse_seconds

MISFIRE_POLICIES: Final = ("fire_once", "fire_all", "skip")
OVERLAP_POLICIES: Final = ("skip", "queue", "allow", "replace")
ON_EXCLUDED: Final = ("suppress", "before", "after")
ON_FAILED: Final = ("park", "drop")
ON_FINISH: Final = ("keep", "delete")

_OF_WHOLE_GROUPS: Final = frozenset({"max_concurrency", "max_rate", "max_concurrency_per_key", "max_rate_per_key"})
"""Limits (domain/limits.py): fields of a group that apply to all its timers together."""

MAX_RETRIES: Final = 1000
MAX_SECONDS: Final = 366 * 24 * 3600
MAX_CATCHUP: Final = 10_000
MAX_QUEUED: Final = 1000
MAX_CALENDARS: Final = 20

Read = Callable[[str, Any], Any]


@dataclass(frozen=True, slots=True)
class Retry:
    """When an unsuccessful attempt is retried.

    The wait before retry n is `min(min_backoff * 2**(n-1), max_backoff)`, so 120/600 gives 120, 240, 480, 600, 600...
    (layline.io's rule). If `delays` are given, it is the n-th of them (the last one repeatedly). `jitter` randomly
    lengthens or shortens a wait by up to that fraction (0 to 1).
    """

    max_retries: int = 5
    min_backoff: float = 120
    max_backoff: float = 600
    jitter: float = 0
    delays: tuple[float, ...] = ()

    @classmethod
    def parse(cls, spec: Mapping[str, Any]) -> Retry:
        """Parse a JSON retry policy. Raises InvalidRequest for all invalid fields."""
        policy = cls(**_read(spec, _RETRY, "retry", path="retry."))
        if policy.max_backoff < policy.min_backoff:
            raise InvalidRequest("retry.max_backoff", "must not be below min_backoff", given=policy.max_backoff)
        return policy

    def wait_before(self, retry: int) -> float:
        """Return the seconds before the given retry (1 is the first)."""
        if self.delays:
            wait = self.delays[min(retry, len(self.delays)) - 1]
        else:
            # 2**63 s is beyond any max_backoff; the bound keeps the power small for retry 1000.
            wait = min(self.min_backoff * 2.0 ** min(retry - 1, 63), self.max_backoff)
        return wait * (1 + self.jitter * (2 * random() - 1)) if self.jitter else wait

    def to_spec(self) -> dict[str, Any]:
        """Return the JSON form that parse reads."""
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
    """Maximum number of missed fires that fire_all fires."""
    overlap_policy: str = "skip"
    max_queued: int = 1
    """Maximum number of fires that queue behind a running one."""
    retry_blocks: bool = True
    """Whether an execution that waits for its retry counts as open for the overlap policy."""
    pause_after_failures: int = 0
    """Number of consecutive failed executions after which a timer pauses itself; 0: never."""
    exclusion_calendars: tuple[str, ...] = ()
    """Names of the calendars whose excluded instants do not fire."""
    on_excluded: str = "suppress"
    attempt_timeout: float = 60
    """Seconds that one attempt may run, if its handler has no timeout of its own."""
    on_failed: str = "park"
    on_finish: str = "keep"

    def with_overrides(self, overrides: Mapping[str, Any]) -> Policies:
        """Return these policies with some replaced. Raises InvalidRequest for all invalid overrides."""
        return replace(self, **_read(overrides, _POLICIES, "overrides"))


def checked_overrides(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return overrides in their stored form, with durations in seconds. Raises InvalidRequest."""
    if isinstance(given, Mapping) and (limits := [name for name in given if name in _OF_WHOLE_GROUPS]):
        words = (
            "limits all timers of a group together and cannot be overridden. Set it on the group; to limit one timer,"
            " give it a concurrency_key of its own in a group with max_concurrency_per_key"
        )
        raise InvalidRequest.combined([InvalidRequest(name, words, given=given[name]) for name in limits])
    policies = Policies().with_overrides(given)
    own = {name: getattr(policies, name) for name in given}
    if "retry" in own:
        own["retry"] = {name: value for name, value in policies.retry.to_spec().items() if name in given["retry"]}
    return own


def check_seconds(field: str, value: Any) -> float:
    """Return the seconds of a wait that is given as a number, a timedelta or ISO 8601 text.

    Raises InvalidRequest, also beyond 366 days.
    """
    return float(parse_seconds(value, field, at_most=MAX_SECONDS))


@lru_cache(maxsize=4096)
def overridden(policies: Policies, overrides_text: str) -> Policies:
    """Return a timer's policies from its group's and the JSON text of its overrides (cached: rows contain text)."""
    return policies.with_overrides(json.loads(overrides_text))


def _read(given: Any, readers: Mapping[str, Read], what: str, *, path: str = "") -> dict[str, Any]:
    """Read each field with its reader. Raises one InvalidRequest for all errors."""
    if not isinstance(given, Mapping):
        raise InvalidRequest(what, f"must be an object with some of {', '.join(sorted(readers))}", given=given)
    mistakes = ErrorCollector()
    mistakes.refuse_unknown(given, readers, within=path)
    known = {name: value for name, value in given.items() if name in readers}
    values = {name: mistakes.check(partial(readers[name], path + name, value)) for name, value in known.items()}
    mistakes.raise_if_any()
    return values


def _one_of(*allowed: str) -> Read:
    def read(name: str, given: Any) -> str:
        if not isinstance(given, str) or given not in allowed:
            raise InvalidRequest(name, f"must be one of {', '.join(allowed)}", given=given)
        return given

    return read


def _seconds(at_least: float = 0, *, may_be_none: bool = False) -> Read:
    def read(name: str, given: Any) -> float | None:
        if given is None and may_be_none:
            return None
        return parse_seconds(given, name, at_least=at_least, at_most=MAX_SECONDS)

    return read


def _count(most: int) -> Read:
    def read(name: str, given: Any) -> int:
        if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= most:
            raise InvalidRequest(name, f"must be a whole number from 0 to {most:,}", given=given)
        return given

    return read


def _flag(name: str, given: Any) -> bool:
    if not isinstance(given, bool):
        raise InvalidRequest(name, "must be true or false", given=given)
    return given


def _fraction(name: str, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 <= given <= 1:
        raise InvalidRequest(name, "must be a number from 0 to 1", given=given)
    return given


def _delays(name: str, given: Any) -> tuple[float, ...]:
    if not isinstance(given, (list, tuple)):
        raise InvalidRequest(name, "must be a list of waits in seconds", given=given)
    return tuple(parse_seconds(delay, name, at_most=MAX_SECONDS) for delay in given)


def _calendar_names(field: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) for name in value):
        raise InvalidRequest(field, "must be a list of names of exclusion calendars", given=value)
    if len(value) > MAX_CALENDARS:
        raise InvalidRequest(field, f"must name at most {MAX_CALENDARS} calendars", given=value)
    return tuple(value)


_RETRY: Final[dict[str, Read]] = {
    "max_retries": _count(MAX_RETRIES),
    "min_backoff": _seconds(),
    "max_backoff": _seconds(),
    "jitter": _fraction,
    "delays": _delays,
}
_POLICIES: Final[dict[str, Read]] = {
    "retry": lambda _, given: Retry.parse(given),
    "misfire_policy": _one_of(*MISFIRE_POLICIES),
    "misfire_grace": _seconds(),
    "max_lateness": _seconds(may_be_none=True),
    "max_catchup": _count(MAX_CATCHUP),
    "overlap_policy": _one_of(*OVERLAP_POLICIES),
    "max_queued": _count(MAX_QUEUED),
    "retry_blocks": _flag,
    "pause_after_failures": _count(1_000_000),
    "exclusion_calendars": _calendar_names,
    "on_excluded": _one_of(*ON_EXCLUDED),
    "attempt_timeout": _seconds(0.01),
    "on_failed": _one_of(*ON_FAILED),
    "on_finish": _one_of(*ON_FINISH),
}
"""Reader of each policy by its name."""
OVERRIDABLE: Final = frozenset(_POLICIES)
