"""Limits on how many executions of a group are claimed at once or start in a period, over all nodes and consumers.

Running executions are counted from live claims, never kept in a counter, so a limit holds through kills: the claims of
a dead node count until they are rescued.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from timers.domain.limit_keys import NO_KEY, KeyPath
from timers.domain.rates import Rate
from timers.exceptions import InvalidRequest

MAX_CONCURRENCY: Final = 100_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a group; false if none is set."""

    max_concurrency: int | None = None
    """Maximum number of executions claimed at once."""
    max_rate: Rate | None = None
    """Maximum number of executions that start in a period."""
    max_concurrency_per_key: int | None = None
    """Maximum number of executions of one key claimed at once."""
    max_rate_per_key: Rate | None = None
    """Maximum number of executions of one key that start in a period."""
    key_path: KeyPath | None = None
    """Location of the key in the payload of a timer that names none itself."""

    def __bool__(self) -> bool:
        return self.max_concurrency is not None or self.max_rate is not None or self.is_keyed

    @property
    def is_concurrent(self) -> bool:
        """Whether the end of an execution lets another one begin."""
        return self.max_concurrency is not None or self.max_concurrency_per_key is not None

    @property
    def is_rated(self) -> bool:
        """Whether executions start at a limited rate, and so are not claimed ahead of their instants."""
        return self.max_rate is not None or self.max_rate_per_key is not None

    @property
    def is_keyed(self) -> bool:
        """Whether executions are limited by key; only then do timers carry one."""
        return self.max_concurrency_per_key is not None or self.max_rate_per_key is not None

    def limits_key(self, key: str) -> bool:
        """Return whether the limits per key apply to a key: to every key except NO_KEY of a group without a path."""
        return self.is_keyed and (key != NO_KEY or self.key_path is not None)

    def key_of(self, own: str | None, payload: Any) -> str | None:
        """Return the key of a timer; None if nothing is limited by key.

        Args:
            own: Key that the timer names itself; it takes precedence over the payload.
            payload: Decoded payload of the timer.
        """
        if not self.is_keyed:
            return None
        if own is not None:
            return own
        return NO_KEY if self.key_path is None else self.key_path.find(payload)


NO_LIMITS: Final = Limits()


def _check_rate(field: str, value: Any) -> str:
    return str(Rate.parse(value, field))


def _check_path(field: str, value: Any) -> str:
    KeyPath.parse(value, field)
    return str(value)


def check_concurrency(field: str, value: Any) -> int:
    """Validate a limit of concurrent executions. Raises InvalidRequest."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_CONCURRENCY:
        words = f"must be a whole number from 1 to {MAX_CONCURRENCY:,}, or null for no limit; to run nothing, pause the"
        raise InvalidRequest(field, f"{words} group", given=value)
    return value


LIMITS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "max_concurrency": check_concurrency,
    "max_rate": _check_rate,
    "concurrency_key": _check_path,
    "max_concurrency_per_key": check_concurrency,
    "max_rate_per_key": _check_rate,
}
"""Fields of a group that limit it, with their validators and stored forms."""
