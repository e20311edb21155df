"""Handler endpoint: run a handler in the web process that receives an HTTP request, instead of on a worker.

The result of a handler becomes an HTTP response that an http action understands: its return value, or an error status
with `Retry-After` and `timer-outcome` (see docs/handler-endpoint.md). So a timer can call a handler through the
endpoint, and a program can call one without a timer.

Each handler runs in its own thread, because its time limit must hold whatever it does. A handler that overruns its
limit keeps its slot until it has really ended. When all slots are taken, the response asks the caller to retry later.
There are fewer slots than request threads, so handlers never block all other requests.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal

from django.db import connections

from timers import clock, conf, handlers
from timers.domain.policies import Policies
from timers.engine import errors
from timers.engine.outcome import result_text
from timers.exceptions import InvalidRequest, TimerNotFound
from timers.handlers import Discard, Fail, Fire, Handler, Retry, Snooze
from timers.schedules.instant import parse_instant, to_microseconds

logger = logging.getLogger(__name__)

BUSY_SECONDS: Final = 1.0

Said = Literal["", "discard", "snooze", "fail"]


@dataclass(frozen=True, slots=True)
class Answered:
    """Outcome of a handler, as an HTTP response."""

    status: int
    result: Any = None
    detail: str = ""
    """Why the handler did not succeed."""
    outcome: Said = ""
    """What happens to the execution, if it is not a retry by the retry policy."""
    wait: float | None = None
    """Seconds until the next attempt; the header contains whole seconds."""

    @property
    def headers(self) -> dict[str, str]:
        """Headers that tell the caller what happens next."""
        said = {} if self.wait is None else {"Retry-After": str(math.ceil(self.wait))}
        return said | ({"timer-outcome": self.outcome} if self.outcome else {})


@dataclass(slots=True)
class _Run:
    """One call of a handler in progress."""

    handler: Handler
    fire: Fire
    limit: float
    slot: threading.Semaphore
    ended: threading.Event = field(default_factory=threading.Event)
    value: Any = None
    error: BaseException | None = None
    overran: bool = False

    def __call__(self) -> None:
        try:
            self.value = asyncio.run(self._awaited()) if self.handler.is_async else self.handler.function(self.fire)
        except BaseException as error:  # noqa: BLE001 - whatever a handler raises is its answer
            self.error = error
        finally:
            connections.close_all()
            self.slot.release()
            self.ended.set()

    async def _awaited(self) -> Any:
        limited = asyncio.timeout(self.limit)
        try:
            async with limited:
                return await self.handler.function(self.fire)
        finally:
            self.overran = limited.expired()


@cache
def _slots() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(conf.current().entry_slots)


def run_handler(name: str, message: Any) -> Answered:
    """Run a handler and wait until it ends, at most its time limit (60 s if it names none).

    Args:
        name: Name of the handler.
        message: An envelope as timers send it, or any other JSON value, which becomes the payload.

    Returns:
        The outcome of the handler.

    Raises:
        TimerNotFound: This process has no handler of that name.
        InvalidRequest: The envelope is invalid.
    """
    handler = handlers.find(name)
    if handler is None:
        raise TimerNotFound(f"there is no handler {name!r} here; {handlers.nearest(name, handlers.names())}")
    run = _Run(handler, _fire(name, message), handler.timeout or Policies().attempt_timeout, _slots())
    if not run.slot.acquire(blocking=False):
        return Answered(503, detail="as many handlers run here as may", outcome="snooze", wait=BUSY_SECONDS)
    threading.Thread(target=run, name=f"handler {name}", daemon=True).start()
    if not run.ended.wait(run.limit) or run.overran:
        run.fire.cancelled.set()
        return Answered(500, detail=f"ran longer than its limit of {run.limit:g} s")
    return _succeeded(run.value) if run.error is None else _raised(run)


def _succeeded(value: Any) -> Answered:
    try:
        result_text(value)
    except InvalidRequest as error:
        return Answered(200, detail=f"the result was not kept: {error.problems[0].message}")
    except Exception as error:  # noqa: BLE001 - a value of user code
        return Answered(200, detail=f"the result was not kept: {type(error).__name__}")
    return Answered(200, result=value)


def _raised(run: _Run) -> Answered:
    match run.error:
        case Discard() as error:
            return Answered(503, detail=errors.message_of(error) or "discarded", outcome="discard")
        case Snooze() as error:
            return Answered(503, detail=errors.message_of(error) or "snoozed", outcome="snooze", wait=error.seconds)
        case Retry() as error:
            reason = errors.message_of(error)
            return Answered(503, detail=f"Retry: {reason}" if reason else "Retry", wait=error.after)
        case error:
            assert error is not None
            logger.warning("handler %s raised", run.handler.name, exc_info=error)
            title = errors.describe(error).title
            return (
                Answered(422, detail=title, outcome="fail") if isinstance(error, Fail) else Answered(500, detail=title)
            )


def _fire(name: str, message: Any) -> Fire:
    """Return the argument of the handler: the fire that the envelope describes, or one built for this call."""
    if not isinstance(message, Mapping) or not {"Group", "Name", "ExecutionId", "Payload"} <= message.keys():
        message = {"Group": "", "Name": name, "ExecutionId": "", "Payload": message, "Origin": "call"}
    return Fire(
        group=_text(message, "Group"),
        name=_text(message, "Name"),
        number_of_try=_number(message, "NumberOfTry", 1),
        payload=message["Payload"],
        execution_id=_text(message, "ExecutionId"),
        fence=_number(message, "Fence", 0),
        missed_count=_number(message, "MissedCount", 0),
        origin=_text(message, "Origin"),
        node=_text(message, "Node"),
        fire_time_us=_instant_us(message, "FireTime"),
        scheduled_fire_time_us=_instant_us(message, "ScheduledFireTime"),
        time_zone="UTC",
        subscription=_text(message, "Subscription"),
        step=_text(message, "Step"),
        order=_text(message, "Order"),
        chain=_text(message, "Chain"),
    )


def _text(message: Mapping[str, Any], key: str) -> str:
    value = message.get(key, "")
    if not isinstance(value, str):
        raise InvalidRequest(key, "must be text", given=value)
    return value


def _number(message: Mapping[str, Any], key: str, absent: int) -> int:
    value = message.get(key, absent)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(key, "must be a whole number", given=value)
    return value


def _instant_us(message: Mapping[str, Any], key: str) -> int:
    return to_microseconds(parse_instant(message[key], key) if key in message else clock.now())
