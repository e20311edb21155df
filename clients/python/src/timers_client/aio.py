"""AsyncTimersClient: client of the service for asyncio."""

from __future__ import annotations

import asyncio
import signal
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar
from weakref import WeakSet

import aiohttp
from yarl import URL

from timers_client import calls
from timers_client.aconsumer import AsyncConsumer
from timers_client.answers import Item, Page, Raw, Result
from timers_client.call import DEADLINE, MOST_BYTES, Call, Patience, Request, Service, answered
from timers_client.ensuring import left_as_it_is
from timers_client.errors import ConnectionFailed, Invalid, NameTaken, NotFound, TimersError
from timers_client.holding import Wish, Word
from timers_client.verbs import told

Params = ParamSpec("Params")
Answer = TypeVar("Answer")


def _verb(
    build: Callable[Params, Call[Answer]],
) -> Callable[Concatenate[AsyncTimersClient, Params], Coroutine[Any, Any, Answer]]:
    """Build a client method that carries out one call."""

    async def verb(self: AsyncTimersClient, /, *args: Params.args, **kwargs: Params.kwargs) -> Answer:
        return await self.call(build(*args, **kwargs))

    return told(verb, "AsyncTimersClient", build)


def _pages(
    build: Callable[Params, Call[Page[Item]]],
) -> Callable[Concatenate[AsyncTimersClient, Params], AsyncIterator[Item]]:
    """Build a client method that iterates over the pages of a list."""

    async def walk(self: AsyncTimersClient, /, *args: Params.args, **kwargs: Params.kwargs) -> AsyncIterator[Item]:
        call, cursor = build(*args, **kwargs), None
        while True:
            page = await self.call(call.with_query(cursor=cursor))
            for item in page.items:
                yield item
            cursor = page.next
            if cursor is None:
                return

    return told(walk, "AsyncTimersClient", build, AsyncIterator)


class AsyncTimersClient:
    """Client of the service at a URL, with an application key; see TimersClient. Close it, or use `async with`."""

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        deadline: float = DEADLINE,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._service = Service.of(url, key)
        self._deadline = deadline
        self._ssl_context = ssl_context or True
        self._session: aiohttp.ClientSession | None = None
        self._consumers: WeakSet[AsyncConsumer] = WeakSet()

    schedule_once = _verb(calls.schedule_once)
    schedule_fixed_rate = _verb(calls.schedule_fixed_rate)
    schedule_fixed_delay = _verb(calls.schedule_fixed_delay)
    schedule_cron = _verb(calls.schedule_cron)
    schedule_calendar = _verb(calls.schedule_calendar)
    schedule_window = _verb(calls.schedule_window)
    schedule_rrule = _verb(calls.schedule_rrule)
    preview = _verb(calls.preview)

    get_timer = _verb(calls.get_timer)
    get_timers = _pages(calls.get_timers)
    update_timer = _verb(calls.update_timer)
    cancel_timer = _verb(calls.cancel_timer)
    pause_timer = _verb(calls.pause_timer)
    resume_timer = _verb(calls.resume_timer)
    fire_timer = _verb(calls.fire_timer)
    skip_next_fire = _verb(calls.skip_next_fire)
    backfill_timer = _verb(calls.backfill_timer)
    cancel_backfill = _verb(calls.cancel_backfill)
    next_fires = _verb(calls.next_fires)

    get_groups = _pages(calls.get_groups)
    get_group = _verb(calls.get_group)
    create_group = _verb(calls.create_group)
    update_group = _verb(calls.update_group)
    delete_group = _verb(calls.delete_group)
    pause_group = _verb(calls.pause_group)
    resume_group = _verb(calls.resume_group)
    get_subscriptions = _verb(calls.get_subscriptions)
    create_subscription = _verb(calls.create_subscription)
    update_subscription = _verb(calls.update_subscription)
    delete_subscription = _verb(calls.delete_subscription)
    pause_subscription = _verb(calls.pause_subscription)
    resume_subscription = _verb(calls.resume_subscription)

    get_chains = _pages(calls.get_chains)
    get_chain = _verb(calls.get_chain)
    create_chain = _verb(calls.create_chain)
    update_chain = _verb(calls.update_chain)
    delete_chain = _verb(calls.delete_chain)
    get_chain_versions = _pages(calls.get_chain_versions)
    compare_versions = _verb(calls.compare_versions)
    get_picture = _verb(calls.get_picture)
    get_steps = _verb(calls.get_steps)
    stop_chain = _verb(calls.stop_chain)
    start_chain = _verb(calls.start_chain)
    stop_step = _verb(calls.stop_step)
    skip_step = _verb(calls.skip_step)
    activate_step = _verb(calls.activate_step)
    get_locks = _verb(calls.get_locks)
    get_lock = _verb(calls.get_lock)
    set_lock = _verb(calls.set_lock)
    delete_lock = _verb(calls.delete_lock)
    add_order = _verb(calls.add_order)
    start_order = _verb(calls.start_order)
    get_upcoming_orders = _pages(calls.get_upcoming_orders)
    change_order = _verb(calls.change_order)
    withdraw_order = _verb(calls.withdraw_order)
    get_orders = _pages(calls.get_orders)
    get_order = _verb(calls.get_order)
    get_order_history = _pages(calls.get_order_history)
    suspend_order = _verb(calls.suspend_order)
    resume_order = _verb(calls.resume_order)
    skip_step_of = _verb(calls.skip_step_of)
    move_order = _verb(calls.move_order)
    reset_order = _verb(calls.reset_order)
    cancel_order = _verb(calls.cancel_order)
    prioritize_order = _verb(calls.prioritize_order)
    approve_order = _verb(calls.approve_order)
    refuse_order = _verb(calls.refuse_order)
    signal_order = _verb(calls.signal_order)
    for_orders = _verb(calls.for_orders)

    get_executions = _pages(calls.get_executions)
    get_execution = _verb(calls.get_execution)
    retry = _verb(calls.retry)
    dismiss = _verb(calls.dismiss)
    cancel_execution = _verb(calls.cancel_execution)
    replay = _verb(calls.replay)
    failures = _verb(calls.failures)
    start_operation = _verb(calls.start_operation)
    get_operations = _pages(calls.get_operations)
    get_operation = _verb(calls.get_operation)
    set_pace = _verb(calls.set_pace)
    cancel_operation = _verb(calls.cancel_operation)
    pause_operation = _verb(calls.pause_operation)
    resume_operation = _verb(calls.resume_operation)

    get_cluster = _verb(calls.get_cluster)
    pause_cluster = _verb(calls.pause_cluster)
    resume_cluster = _verb(calls.resume_cluster)
    pause_partition = _verb(calls.pause_partition)
    resume_partition = _verb(calls.resume_partition)
    get_nodes = _pages(calls.get_nodes)
    get_node = _verb(calls.get_node)
    drain_node = _verb(calls.drain_node)
    activate_node = _verb(calls.activate_node)
    stop_node = _verb(calls.stop_node)
    forget_node = _verb(calls.forget_node)

    claim = _verb(calls.claim)
    commit = _verb(calls.commit)
    commit_many = _verb(calls.commit_many)
    discard = _verb(calls.discard)
    extend = _verb(calls.extend)

    me = _verb(calls.me)
    ask = _verb(calls.ask)

    async def schedule_many(
        self,
        group: str,
        requests: Iterable[Mapping[str, Any]],
        *,
        on_conflict: calls.OnConflict = "reject",
        atomic: bool = False,
    ) -> list[Result]:
        """Schedule many timers, each with its `kind` and `name`; see TimersClient.schedule_many."""
        results: list[Result] = []
        for call in calls.bulks(group, requests, on_conflict=on_conflict, atomic=atomic):
            some = await self.call(call)
            results += some
        return results

    async def ensure_group(self, group: str, **fields: Any) -> Raw:
        """Return the group, which is created with these fields if it does not exist.

        An existing group is not changed; a warning names the given fields that differ, which update_group changes.
        Raises Invalid.
        """
        try:
            return left_as_it_is(await self.get_group(group), fields)
        except NotFound:
            pass
        try:
            return await self.create_group(group, **fields)
        except (NameTaken, Invalid):
            # It was created concurrently.
            with suppress(NotFound):
                return left_as_it_is(await self.get_group(group), fields)
            raise

    def consume(
        self,
        group: str,
        *,
        consumer: str | None = None,
        limit: int = 1,
        lease: float = 30,
        wait: float = 5,
        subscription: str | None = None,
        on_error: Word = "raise",
        on_lost: Word = "raise",
        stop_on: Iterable[signal.Signals] = (),
    ) -> AsyncConsumer:
        """Iterate over messages of a group: `async for message in client.consume("g"): async with message: ...`.

        The arguments are those of TimersClient.consume.
        """
        wish = Wish(group, consumer, limit, lease, wait, subscription, on_error, on_lost, tuple(stop_on))
        made = AsyncConsumer(self, wish)
        self._consumers.add(made)
        return made

    async def call(self, call: Call[Answer], *, deadline: float | None = None) -> Answer:
        """Carry out a call, retrying temporary errors for up to `deadline` seconds.

        Raises ApiError, or ConnectionFailed.
        """
        request = self._service.request(call)
        seconds = self._deadline if deadline is None else deadline
        patience = Patience(time.monotonic() + seconds + call.wait, not call.once_only)
        while True:
            try:
                status, body, headers = await self._sent(request, patience.timeout(time.monotonic(), request))
                return answered(call, status, body, headers)
            except TimersError as error:
                pause = patience.pause(time.monotonic(), error)
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    async def _sent(self, request: Request, timeout: float) -> tuple[int, bytes, Mapping[str, str]]:
        """Make one attempt. Raises ConnectionFailed."""
        try:
            async with self._connected().request(
                request.method, URL(request.url, encoded=True), data=request.body, headers=request.headers,
                allow_redirects=False, timeout=aiohttp.ClientTimeout(total=timeout),
            ) as response:  # fmt: skip
                body = bytearray()
                async for some in response.content.iter_any():
                    body += some
                    if len(body) > MOST_BYTES:
                        raise ConnectionFailed("the answer is too large to be one of the service's", may_pass=False)
                return response.status, bytes(body), response.headers
        except TimeoutError as error:
            raise ConnectionFailed(f"{request.method} {request.url}: no answer within {timeout:.1f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            may_pass = not isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.InvalidURL))
            raise ConnectionFailed(f"{request.method} {request.url}: {error}", may_pass=may_pass) from error

    async def close(self) -> None:
        """Close the consumers and the connections; a later call opens new ones."""
        for consumer in set(self._consumers):
            await consumer.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._ssl_context), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
