"""Public API: write a handler, and control what happens when it cannot finish now.

    from timers.handlers import handler, Discard, Retry, Snooze, Fail

    @handler("vendors.process", timeout=30)
    def process(fire):
        return {"vendor": fire.payload["vendor"]}

Handlers live in each installed app's `timer_handlers.py`; the app's configuration imports them at start. A handler is
identified by its name, never by its import path: names from the database are looked up only in this registry.
"""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from timers.domain.policies import check_seconds
from timers.exceptions import InvalidRequest
from timers.schedules.instant import from_microseconds
from timers.schedules.zones import zone

HandlerFunction = TypeVar("HandlerFunction", bound=Callable[..., Any])

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,199}")


class Directive(Exception):
    """Base class of exceptions by which a handler controls what happens instead of success."""


class Discard(Directive):
    """Discard the attempt: the execution becomes available again by the group's retry policy (or at the next tick).

    The attempt counts.
    """


class Retry(Directive):
    """Retry the execution after a delay; the attempt counts.

    `after` is the delay in seconds; without it the group's retry policy applies.
    """

    def __init__(self, reason: str = "", *, after: float | None = None) -> None:
        self.after = None if after is None else check_seconds("after", after)
        super().__init__(reason)


class Snooze(Directive):
    """Retry the execution in `seconds`; the attempt does not count against max_retries."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        self.seconds = check_seconds("seconds", seconds)
        super().__init__(reason)


class Fail(Directive):
    """Fail the execution at once, whatever retries are left."""


class Cancellation:
    """Whether cancellation of an execution was requested: is_set() and wait(seconds), like a threading.Event.

    The event itself is created when someone waits for it: most handlers never do.
    """

    __slots__ = ("_event", "_set")
    _making = threading.Lock()

    def __init__(self) -> None:
        self._set = False
        self._event: threading.Event | None = None

    def is_set(self) -> bool:
        """Return whether cancellation was requested."""
        return self._set

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for a request of cancellation, at most `seconds`; return whether there is one."""
        with self._making:
            if self._set:
                return True
            event = self._event = self._event or threading.Event()
        return event.wait(seconds)

    def set(self) -> None:
        """Request cancellation."""
        with self._making:
            self._set = True
            if self._event is not None:
                self._event.set()


@dataclass(frozen=True, slots=True)
class Fire:
    """The argument of a handler: one attempt of one execution.

    Instants are stored as microseconds since 1970 UTC; the properties return timezone-aware datetimes in the timer's
    zone.
    """

    group: str
    name: str
    number_of_try: int
    payload: Any
    execution_id: str
    """The same for all attempts: the key by which a receiver recognises a repeat."""
    fence: int
    """Rises with each claim: a receiver may refuse a fence lower than one it has seen."""
    missed_count: int
    origin: str
    node: str
    fire_time_us: int
    scheduled_fire_time_us: int
    time_zone: str
    subscription: str = ""
    """The subscription that the execution is for, or that began the order, if the group has subscriptions."""
    group_id: int = 0
    """The group's id: another group created later under the same name has another id."""
    step: str = ""
    """The step of a chain that this attempt runs; empty: the execution is no order of a chain."""
    order: str = ""
    """The whole order whose step this is; branches and sub-chains of it have execution ids of their own."""
    chain: str = ""
    """The chain that the step belongs to; in a sub-chain, that one."""
    cancelled: Cancellation = field(default_factory=Cancellation, compare=False, repr=False)
    """Set when the timer was cancelled, or its next fire replaces this one: the handler should end soon.

    It may raise any exception, or return a result. (An async handler is cancelled with asyncio.CancelledError.)
    """

    @property
    def fire_time(self) -> datetime:
        """When this attempt started, by the database clock."""
        return from_microseconds(self.fire_time_us).astimezone(zone(self.time_zone))

    @property
    def scheduled_fire_time(self) -> datetime:
        """The nominal instant of the occurrence."""
        return from_microseconds(self.scheduled_fire_time_us).astimezone(zone(self.time_zone))

    def envelope(self) -> dict[str, Any]:
        """Return the message for a consumer, with layline.io's keys and additional ones.

        Times have the timer's zone offset.
        """
        envelope = {
            "Group": self.group,
            "Name": self.name,
            "NumberOfTry": self.number_of_try,
            "FireTime": _iso(self.fire_time),
            "ScheduledFireTime": _iso(self.scheduled_fire_time),
            "Payload": self.payload,
            "ExecutionId": self.execution_id,
            "Fence": self.fence,
            "MissedCount": self.missed_count,
            "Origin": self.origin,
            "Node": self.node,
        }
        if self.subscription:
            envelope["Subscription"] = self.subscription
        if self.step:
            envelope |= {"Chain": self.chain, "Step": self.step, "Order": self.order}
        return envelope


@dataclass(frozen=True, slots=True)
class Handler:
    """A registered Python callable."""

    name: str
    function: Callable[[Fire], Any]
    timeout: float | None
    """Time limit of one attempt in seconds; None: the group's attempt_timeout."""
    is_async: bool


_registry: dict[str, Handler] = {}


def handler(name: str, *, timeout: float | None = None) -> Callable[[HandlerFunction], HandlerFunction]:
    """Register a function (plain or async) with one parameter, a Fire, as the handler of that name.

    The function's return value is stored as the execution's result (JSON, limited in size).

    Args:
        name: unique name of the handler.
        timeout: time limit of one attempt in seconds; None: the group's attempt_timeout.

    Raises:
        InvalidRequest: the name is invalid or taken by another function, or the timeout is not positive.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidRequest("handler", "names are letters, digits and _ . : -, at most 200", given=name)
    if timeout is not None and not timeout > 0:
        raise InvalidRequest("timeout", "must be more than 0 seconds", given=timeout)

    def register(function: HandlerFunction) -> HandlerFunction:
        known = _registry.get(name)
        if known is not None and _place(known.function) != _place(function):
            raise InvalidRequest("handler", f"{name} is registered already, by {known.function.__module__}")
        _registry[name] = Handler(name, function, timeout, inspect.iscoroutinefunction(function))
        return function

    return register


def _place(function: Callable[..., Any]) -> tuple[str, str]:
    return function.__module__, function.__qualname__


def find(name: str) -> Handler | None:
    """Return the handler of that name in this process, or None."""
    return _registry.get(name)


def names() -> list[str]:
    """Return the names of all handlers of this process, sorted."""
    return sorted(_registry)


def unregister(name: str) -> None:
    """Remove a handler (for tests that register their own)."""
    _registry.pop(name, None)


def nearest(name: str, known: list[str]) -> str:
    """Return a hint for an unknown name: the nearest known one, or all known ones."""
    near = get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"known are {', '.join(known[:20])}" if known else "no handler is registered"


def _iso(moment: datetime) -> str:
    precision = "microseconds" if moment.microsecond % 1000 else "milliseconds" if moment.microsecond else "seconds"
    return moment.isoformat(timespec=precision)
