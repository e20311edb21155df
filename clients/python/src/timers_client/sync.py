"""TimersClient: the service for programs that wait."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

import urllib3

from timers_client import calls
from timers_client.answers import Execution, Page, Raw, Result, Timer
from timers_client.call import DEADLINE, Call, Patience, Service, answered
from timers_client.consumer import Consumer
from timers_client.errors import ConnectionFailed, Invalid, NameTaken, TimersError

Params = ParamSpec("Params")
Answer = TypeVar("Answer")
Item = TypeVar("Item")


class _Verb(Generic[Params, Answer]):
    """A method of the client that carries one call out."""

    def __init__(self, build: Callable[Params, Call[Answer]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: TimersClient, owner: type) -> Callable[Params, Answer]: ...
    def __get__(self, client: TimersClient | None, owner: type) -> Self | Callable[Params, Answer]:
        if client is None:
            return self
        return functools.wraps(self._build)(lambda *args, **kwargs: client.call(self._build(*args, **kwargs)))


class _Pages(Generic[Params, Item]):
    """A method of the client that walks over the pages of a list."""

    def __init__(self, build: Callable[Params, Call[Page]], of: Callable[[Raw], Item]) -> None:
        self._build, self._of = build, of
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: TimersClient, owner: type) -> Callable[Params, Iterator[Item]]: ...
    def __get__(self, client: TimersClient | None, owner: type) -> Self | Callable[Params, Iterator[Item]]:
        if client is None:
            return self

        def walk(*args: Params.args, **kwargs: Params.kwargs) -> Iterator[Item]:
            call, cursor = self._build(*args, **kwargs), None
            while True:
                page = client.call(call.with_query(cursor=cursor))
                yield from map(self._of, page.items)
                cursor = page.next
                if cursor is None:
                    return

        return functools.wraps(self._build)(walk)


class TimersClient:
    """The service at a URL, with an application key; both default to TIMERS_URL and TIMERS_KEY.

    Every write carries an Idempotency-Key, so what did not come through is tried again without being done twice, until
    `deadline` seconds have gone. Safe to be used by several threads.
    """

    def __init__(self, url: str | None = None, key: str | None = None, *, deadline: float = DEADLINE) -> None:
        self._service = Service.of(url, key)
        self._deadline = deadline
        self._pool = urllib3.PoolManager(maxsize=16, retries=False, cert_reqs="CERT_REQUIRED")

    schedule_once = _Verb(calls.schedule_once)
    schedule_fixed_rate = _Verb(calls.schedule_fixed_rate)
    schedule_fixed_delay = _Verb(calls.schedule_fixed_delay)
    schedule_cron = _Verb(calls.schedule_cron)
    schedule_calendar = _Verb(calls.schedule_calendar)
    schedule_window = _Verb(calls.schedule_window)
    schedule_rrule = _Verb(calls.schedule_rrule)
    get_timer = _Verb(calls.get_timer)
    get_timers = _Pages(calls.get_timers, Timer.of)
    update_timer = _Verb(calls.update_timer)
    cancel_timer = _Verb(calls.cancel_timer)
    pause_timer = _Verb(calls.pause_timer)
    resume_timer = _Verb(calls.resume_timer)
    fire_timer = _Verb(calls.fire_timer)
    preview = _Verb(calls.preview)
    next_fires = _Verb(calls.next_fires)
    get_groups = _Pages(calls.get_groups, dict)
    get_group = _Verb(calls.get_group)
    create_group = _Verb(calls.create_group)
    get_executions = _Pages(calls.get_executions, Execution.of)
    get_execution = _Verb(calls.get_execution)
    retry = _Verb(calls.retry)
    dismiss = _Verb(calls.dismiss)
    cancel_execution = _Verb(calls.cancel_execution)
    replay = _Verb(calls.replay)
    failures = _Verb(calls.failures)
    start_operation = _Verb(calls.start_operation)
    get_operation = _Verb(calls.get_operation)
    me = _Verb(calls.me)
    claim = _Verb(calls.claim)
    commit = _Verb(calls.commit)
    discard = _Verb(calls.discard)
    extend = _Verb(calls.extend)

    def schedule_many(
        self, group: str, requests: Iterable[Mapping[str, Any]], *, on_conflict: str = "reject"
    ) -> list[Result]:
        """Schedule many timers, each with its `kind` and `name`; one result each, in their order."""
        return [result for call in calls.bulks(group, requests, on_conflict=on_conflict) for result in self.call(call)]

    def ensure_group(self, group: str, **fields: Any) -> Raw:
        """The group of that name, created with these fields when there is none; an existing one is left as it is."""
        try:
            return self.create_group(group, **fields)
        except (NameTaken, Invalid):
            for found in self.get_groups():
                if found["name"] == group:
                    return found
            raise

    def consume(
        self,
        group: str,
        *,
        consumer: str | None = None,
        limit: int = 1,
        lease: float = 30,
        wait: float = 10,
        subscription: str | None = None,
    ) -> Consumer:
        """Messages of a group as they come due, for ever: `for message in client.consume("g"): with message: ...`.

        `limit`: how many are taken at once; `wait`: how long one look waits, and so how long a stop may take.
        """
        return Consumer(self, group, consumer=consumer, limit=limit, lease=lease, wait=wait, subscription=subscription)

    def call(self, call: Call[Answer]) -> Answer:
        """Carry a call out; raises ApiError, or ConnectionFailed."""
        request = self._service.request(call)
        patience = Patience(time.monotonic() + self._deadline + call.wait, not call.once_only)
        while True:
            try:
                response = self._pool.request(
                    request.method, request.url, body=request.body, headers=request.headers, timeout=request.timeout,
                    redirect=False,
                )  # fmt: skip
                return answered(call, response.status, response.data, response.headers)
            except (TimersError, urllib3.exceptions.HTTPError) as error:
                pause = patience.pause(time.monotonic(), error)
                if pause is None:
                    if isinstance(error, TimersError):
                        raise
                    raise ConnectionFailed(f"{request.method} {request.url}: {error}") from error
                time.sleep(pause)

    def close(self) -> None:
        """Close the connections; a call that comes later opens new ones."""
        self._pool.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
