"""Entry point: a handler that runs where it is asked for over HTTP, in the web process and not on a worker.

What a handler returns or raises becomes an HTTP answer that an http action takes for the same: its result, or a code
that is no success with `Retry-After` and `timer-outcome` (see docs/entry-point.md). So a timer may call a handler by
way of this, and a program may call one with no timer at all.

A handler gets a thread of its own, as its time limit must hold whatever it does. One that runs on behind its limit
keeps its slot until it has really ended; when all are taken, the answer is to come back later. There are fewer of
them than threads that answer requests, so handlers never keep all others waiting.
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
    """How a handler ended, as an HTTP answer."""

    status: int
    result: Any = None
    detail: str = ""
    """Why it did not succeed."""
    outcome: Said = ""
    """What follows for the execution, where that is not another try by the retry policy."""
    wait: float | None = None
    """Seconds until another try; the header has whole ones."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers that say what follows."""
        said = {} if self.wait is None else {"Retry-After": str(math.ceil(self.wait))}
        return said | ({"timer-outcome": self.outcome} if self.outcome else {})


@dataclass(slots=True)
class _Run:
    """One call of a handler, while it lasts."""

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
    """Run the handler of that name and wait for its end, at most its time limit (60 s where it names none).

    `message`: an envelope, as timers send it, or any other JSON value, which is the payload then. Raises TimerNotFound
    for a handler that this process does not have, InvalidRequest for an envelope that cannot be read.
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
    """What the handler is given: the fire of the envelope, or one that stands for the call."""
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
