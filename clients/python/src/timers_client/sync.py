"""TimersClient: blocking client of the service."""

from __future__ import annotations

import signal
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar
from weakref import WeakSet

import urllib3

from timers_client import calls
from timers_client.answers import Item, Page, Raw, Result
from timers_client.call import DEADLINE, MOST_BYTES, Call, Patience, Request, Service, answered
from timers_client.consumer import Consumer
from timers_client.ensuring import left_as_it_is
from timers_client.errors import ConnectionFailed, Invalid, NameTaken, NotFound, TimersError
from timers_client.holding import Wish, Word
from timers_client.verbs import told

Params = ParamSpec("Params")
Answer = TypeVar("Answer")


def _verb(build: Callable[Params, Call[Answer]]) -> Callable[Concatenate[TimersClient, Params], Answer]:
    """Build a client method that carries out one call."""

    def verb(self: TimersClient, /, *args: Params.args, **kwargs: Params.kwargs) -> Answer:
        return self.call(build(*args, **kwargs))

    return told(verb, "TimersClient", build)


def _pages(build: Callable[Params, Call[Page[Item]]]) -> Callable[Concatenate[TimersClient, Params], Iterator[Item]]:
    """Build a client method that iterates over the pages of a list."""

    def walk(self: TimersClient, /, *args: Params.args, **kwargs: Params.kwargs) -> Iterator[Item]:
        call, cursor = build(*args, **kwargs), None
        while True:
            page = self.call(call.with_query(cursor=cursor))
            yield from page.items
            cursor = page.next
            if cursor is None:
                return

    return told(walk, "TimersClient", build, Iterator)


class TimersClient:
    """Client of the service at a URL, with an application key. Defaults: TIMER_SERVICE_URL and TIMER_SERVICE_KEY.

    Every write has an Idempotency-Key, so a failed call is retried without being carried out twice, for up to
    `deadline` seconds. Certificates are checked against the system's authorities; `ssl_context` overrides this, or
    provides a client certificate. Thread-safe.
    """

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
        self._pool = urllib3.PoolManager(
            maxsize=16,
            retries=False,
            cert_reqs="CERT_REQUIRED",
            ssl_context=ssl_context or ssl.create_default_context(),
        )
        self._consumers: WeakSet[Consumer] = WeakSet()

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

    def schedule_many(
        self,
        group: str,
        requests: Iterable[Mapping[str, Any]],
        *,
        on_conflict: calls.OnConflict = "reject",
        atomic: bool = False,
    ) -> list[Result]:
        """Schedule many timers, in as few calls as possible, which are sent while the requests are iterated.

        Args:
            group: Name of the group.
            requests: Keywords of each timer, with its `kind` and `name`.
            on_conflict: What to do if a name is taken.
            atomic: Refuse all requests if one is invalid. All must fit into one call (10,000 timers and 7.5 MB).

        Returns:
            One result for each request, in their order.

        Raises:
            ValueError: With `atomic`, the requests do not fit into one call.
        """
        found = calls.bulks(group, requests, on_conflict=on_conflict, atomic=atomic)
        return [result for call in found for result in self.call(call)]

    def ensure_group(self, group: str, **fields: Any) -> Raw:
        """Return the group, which is created with these fields if it does not exist.

        An existing group is not changed; a warning names the given fields that differ, which update_group changes.
        Raises Invalid.
        """
        try:
            return left_as_it_is(self.get_group(group), fields)
        except NotFound:
            pass
        try:
            return self.create_group(group, **fields)
        except (NameTaken, Invalid):
            # It was created concurrently.
            with suppress(NotFound):
                return left_as_it_is(self.get_group(group), fields)
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
    ) -> Consumer:
        """Iterate over messages of a group, endlessly: `for message in client.consume("g"): with message: ...`.

        Args:
            group: Name of the group.
            consumer: Name of the consumer, for people; None: host and process.
            limit: Number of messages claimed at once. A higher one is faster, and more are discarded at a stop.
            lease: Seconds of a claim; it is extended in the background while a message is in progress.
            wait: Seconds that one claim waits at the service (0 to 20), and so how long a stop may take.
            subscription: Name of the subscription, if the group has several.
            on_error: "log": continue after a block has failed (its message is discarded in any case).
            on_lost: "log": continue if the lease of a message was lost before its block ended.
            stop_on: Signals that stop it, such as [signal.SIGTERM], while it is iterated in the main thread.
        """
        wish = Wish(group, consumer, limit, lease, wait, subscription, on_error, on_lost, tuple(stop_on))
        made = Consumer(self, wish)
        self._consumers.add(made)
        return made

    def call(self, call: Call[Answer], *, deadline: float | None = None) -> Answer:
        """Carry out a call, retrying temporary errors for up to `deadline` seconds.

        Raises ApiError, or ConnectionFailed.
        """
        request = self._service.request(call)
        seconds = self._deadline if deadline is None else deadline
        patience = Patience(time.monotonic() + seconds + call.wait, not call.once_only)
        while True:
            try:
                status, body, headers = self._sent(request, patience.timeout(time.monotonic(), request))
                return answered(call, status, body, headers)
            except TimersError as error:
                pause = patience.pause(time.monotonic(), error)
                if pause is None:
                    raise
            time.sleep(pause)

    def _sent(self, request: Request, timeout: float) -> tuple[int, bytes, Mapping[str, str]]:
        """Make one attempt. Raises ConnectionFailed."""
        until = time.monotonic() + timeout
        try:
            response = self._pool.request(
                request.method, request.url, body=request.body, headers=request.headers,
                timeout=urllib3.Timeout(total=timeout), redirect=False, preload_content=False,
            )  # fmt: skip
            try:
                body = _read(response, until)
                if not body and response.status != 204 and response.headers.get("Content-Length") != "0":
                    # The layers below treat a response that ends within its headers as complete.
                    raise ConnectionFailed("the answer was cut off")
            except BaseException:
                response.close()  # the rest of it must not be read as the next response
                raise
            finally:
                response.release_conn()
            return response.status, body, response.headers
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionFailed(f"{request.method} {request.url}: {error}", may_pass=_may_pass(error)) from error

    def close(self) -> None:
        """Close the consumers and the connections; a later call opens new ones."""
        for consumer in set(self._consumers):
            consumer.close()
        self._pool.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read(response: urllib3.BaseHTTPResponse, until: float) -> bytes:
    """Read the whole body within the deadline: a socket's own timeout restarts with every byte."""
    body = bytearray()
    while some := response.read1(65_536):
        body += some
        if len(body) > MOST_BYTES:
            raise ConnectionFailed("the answer is too large to be one of the service's", may_pass=False)
        if time.monotonic() > until:
            raise ConnectionFailed("the answer did not come to its end in time")
    return bytes(body)


def _may_pass(error: Exception) -> bool:
    """Whether another attempt may succeed: not with an untrusted certificate or an invalid address."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, (ssl.SSLCertVerificationError, urllib3.exceptions.LocationValueError)):
            return False
        seen = seen.__cause__ or seen.__context__
    return True
