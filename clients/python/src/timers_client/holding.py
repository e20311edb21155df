"""Holding: what a consumer claims, has claimed, and must extend. Pure, without I/O."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from random import uniform
from threading import RLock
from typing import Final, Generic, Literal, TypeVar
from weakref import WeakValueDictionary

from timers_client import calls
from timers_client.answers import Claimed
from timers_client.call import Call
from timers_client.errors import ApiError, ConnectionFailed, RateLimited, TimedOut, TimersError
from timers_client.leases import Leases
from timers_client.message import AnyMessage, logger

Word = Literal["raise", "log"]
M = TypeVar("M", bound=AnyMessage)

CLAIM_DEADLINE: Final = 10.0
"""Seconds after which a failed claim is given up; the next one follows."""
_LONGEST_PAUSE: Final = 10.0
_SHORT_PAUSE: Final = 1.0


@dataclass(frozen=True, slots=True)
class Wish:
    """Options of a consumer: what it claims, and how it handles errors."""

    group: str
    consumer: str | None = None
    limit: int = 1
    lease: float = 30.0
    wait: float = 5.0
    subscription: str | None = None
    on_error: Word = "raise"
    on_lost: Word = "raise"
    stop_on: tuple[signal.Signals, ...] = ()

    def __post_init__(self) -> None:
        for name in ("on_error", "on_lost"):
            if getattr(self, name) not in {"raise", "log"}:
                raise ValueError(f'{name} must be "raise" or "log", not {getattr(self, name)!r}')

    @property
    def name(self) -> str:
        """Name of the consumer, for people."""
        return self.consumer or f"{socket.gethostname()}-{os.getpid()}"


class Holding(Generic[M]):
    """Claimed messages of one consumer.

    Leases of messages that are no longer referenced are not extended. Thread-safe.
    """

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.goes_on_after_errors = wish.on_error == "log"
        self._leases = Leases(wish.lease)
        self._messages: WeakValueDictionary[tuple[str, str], M] = WeakValueDictionary()
        self._failures = 0
        self._lock = RLock()
        self.waiting: deque[M] = deque()
        """Claimed messages that were not passed on yet."""

    def claiming(self) -> Call[list[Claimed]]:
        """Return the call that claims more messages."""
        wish = self.wish
        return calls.claim(
            wish.group, wish.name, limit=wish.limit, lease=wish.lease, wait=wish.wait, subscription=wish.subscription
        )

    def take(self, messages: Iterable[M], asked_at: float) -> float:
        """Add claimed messages; return the seconds to wait before the next claim."""
        now = time.monotonic()
        with self._lock:
            self._failures = 0
            by_token: dict[str, set[str]] = {}
            for message in messages:
                self.waiting.append(message)
                self._messages[message.token, message.execution] = message
                by_token.setdefault(message.token, set()).add(message.execution)
            for token, executions in by_token.items():
                self._leases.hold(token, executions, asked_at=asked_at, came_at=now)
        # An immediate empty response: too many consumers wait already, or no waiting was requested.
        has_waited = self.wish.wait > 0 and now - asked_at >= self.wish.wait / 2
        return 0.0 if by_token or has_waited else _SHORT_PAUSE

    def pause_after(self, error: TimersError) -> float | None:
        """Return the seconds to wait after a failed claim; None: the error is permanent and a person must solve it.

        A consumer survives unavailability of its service, and temporary errors.
        """
        if isinstance(error, ConnectionFailed):
            passes = error.may_pass
        else:
            passes = isinstance(error, (RateLimited, TimedOut)) or (isinstance(error, ApiError) and error.status >= 500)
        if not passes:
            return None
        self._failures = min(self._failures + 1, 10)
        pause = uniform(0.5, 1) * min(_LONGEST_PAUSE, 0.5 * 2.0**self._failures)
        logger.warning("consumer %s cannot claim, and goes on in %.1f s: %s", self.wish.name, pause, error)
        return pause

    def next_message(self) -> M | None:
        """Return the next claimed message, if there is one."""
        if not self.waiting:
            return None
        message = self.waiting.popleft()
        message.is_begun = True
        return message

    def unbegun(self) -> list[M]:
        """Remove and return the claimed messages that were not passed on."""
        left = list(self.waiting)
        self.waiting.clear()
        return left

    def forget(self, message: AnyMessage) -> None:
        """Remove a message that was acknowledged or refused."""
        with self._lock:
            self._messages.pop((message.token, message.execution), None)
            self._leases.let_go(message.token, message.execution)

    def to_keep(self, now: float) -> list[tuple[str, str]]:
        """Return the claims that must be extended now: each token with one of its executions."""
        with self._lock:
            for token, execution in self._leases.pairs():
                if (token, execution) not in self._messages:
                    # The program has dropped it without acknowledging it, so nobody works on it any more.
                    logger.warning(
                        "message %s was neither committed nor discarded; it is shown again when its lease ends",
                        execution,
                    )
                    self._leases.let_go(token, execution)
            return self._leases.due(now)

    def kept(self, token: str, asked_at: float, cancelled: Iterable[str] = ()) -> None:
        """Record that the service has extended a claim, and which of its messages were asked to stop."""
        with self._lock:
            self._leases.kept(token, asked_at)
            for execution in cancelled:
                if message := self._messages.get((token, execution)):
                    message.cancelled = True

    def refused(self, token: str, execution: str) -> None:
        """Record that the service no longer regards this message as claimed; its siblings are checked individually."""
        with self._lock:
            message = self._messages.get((token, execution))
            if message is not None and not message.settled:
                message.refuse()
            self._leases.hasten(token, time.monotonic())

    def is_over(self, token: str, now: float) -> bool:
        """Return whether a claim has expired, as far as known here."""
        return self._leases.is_over(token, now)

    def is_empty(self) -> bool:
        """Return whether there is no lease to extend."""
        with self._lock:
            return self._leases.next_at() is None

    def seconds_to_next(self, now: float) -> float | None:
        """Return the seconds until a claim must be extended; None: there is none."""
        with self._lock:
            next_at = self._leases.next_at()
        return None if next_at is None else max(0.0, next_at - now)
