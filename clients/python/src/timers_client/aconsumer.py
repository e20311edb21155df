"""AsyncConsumer: the messages of a group for asyncio; one task keeps the leases of what is held."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from timers_client import calls
from timers_client.answers import Claimed, Raw
from timers_client.consumer import _PASSING, LONGEST_PAUSE, Discard
from timers_client.errors import LeaseLost, StaleToken, TimersError
from timers_client.leases import Leases

if TYPE_CHECKING:
    from timers_client.aio import AsyncTimersClient


class AsyncMessage:
    """One message; see timers_client.consumer.Message."""

    def __init__(self, consumer: AsyncConsumer, claimed: Claimed) -> None:
        self._consumer = consumer
        self.execution = claimed.execution
        self.token = claimed.token
        self.envelope: Raw = claimed.envelope
        self.result: Any = None
        self.lost = False
        self.settled = False

    @property
    def payload(self) -> Any:
        """The payload, unchanged."""
        return self.envelope["Payload"]

    @property
    def number_of_try(self) -> int:
        """1 for the first try."""
        return int(self.envelope["NumberOfTry"])

    async def commit(self) -> None:
        """Done; raises LeaseLost when it is this consumer's no more."""
        await self._settle(calls.commit(self.execution, self.token, result=self.result))

    async def discard(self, reason: str = "", *, delay: float | None = None) -> None:
        """Not yet; raises LeaseLost when it is this consumer's no more."""
        await self._settle(calls.discard(self.execution, self.token, delay=delay, reason=reason))

    async def _settle(self, call: Any) -> None:
        try:
            await self._consumer.client.call(call)
        except StaleToken as error:
            self.lost = True
            raise LeaseLost(f"message {self.execution} is not this consumer's any more") from error
        finally:
            self.settled = True
            self._consumer.forget(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self.settled:
            return isinstance(error, Discard)
        if error is None:
            await self.commit()
        elif isinstance(error, Discard):
            await self.discard(error.reason, delay=error.delay)
        elif isinstance(error, Exception):
            try:
                await self.discard(f"{type(error).__name__}: {error}")
            except TimersError as failed:
                # The block's own error is what its author must see.
                error.add_note(f"nor could the message be discarded: {failed}")
        return isinstance(error, Discard)


class AsyncConsumer:
    """An endless asynchronous iterator of messages; `stop` ends it after the message at hand."""

    def __init__(
        self,
        client: AsyncTimersClient,
        group: str,
        *,
        consumer: str | None,
        limit: int,
        lease: float,
        wait: float,
        subscription: str | None,
    ) -> None:
        self.client = client
        self._group, self._limit, self._lease, self._wait = group, limit, lease, wait
        self._name = consumer or f"{socket.gethostname()}-{os.getpid()}"
        self._subscription = subscription
        self._leases = Leases(lease)
        self._held: dict[tuple[str, str], AsyncMessage] = {}
        self._changed = asyncio.Event()
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopped.set()

    async def __aiter__(self) -> AsyncIterator[AsyncMessage]:
        keeper = asyncio.create_task(self._keep(), name=f"leases of {self._name}")
        try:
            pauses = 0
            while not self._stopped.is_set():
                messages, pauses = await self._claim(pauses)
                for message in messages:
                    if self._stopped.is_set():
                        return
                    yield message
        finally:
            self._stopped.set()
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper

    def forget(self, message: AsyncMessage) -> None:
        """The message is settled, or lost."""
        self._held.pop((message.token, message.execution), None)
        self._leases.let_go(message.token, message.execution)

    async def _claim(self, pauses: int) -> tuple[list[AsyncMessage], int]:
        began = time.monotonic()
        call = calls.claim(
            self._group, self._name, limit=self._limit, lease=self._lease, wait=self._wait,
            subscription=self._subscription,
        )  # fmt: skip
        try:
            claimed = await self.client.call(call)
        except _PASSING:
            await self._sleep(min(LONGEST_PAUSE, 0.5 * 2.0**pauses))
            return [], min(pauses + 1, 10)
        if not claimed and time.monotonic() - began < self._wait / 2:
            # Answered at once: too many wait already, or no waiting was asked for.
            await self._sleep(1.0)
        messages = [AsyncMessage(self, each) for each in claimed]
        for message in messages:
            self._held[message.token, message.execution] = message
        for token in {message.token for message in messages}:
            executions = {message.execution for message in messages if message.token == token}
            self._leases.hold(token, executions, began)
        self._changed.set()
        return messages, 0

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)

    async def _keep(self) -> None:
        """Keep what is held, until the iteration ends."""
        while True:
            self._changed.clear()
            next_at = self._leases.next_at()
            wait = None if next_at is None else next_at - time.monotonic()
            if wait is None or wait > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), wait)
                continue
            for token, execution in self._leases.due(time.monotonic()):
                await self._extend(token, execution)

    async def _extend(self, token: str, execution: str) -> None:
        try:
            await self.client.call(calls.extend(execution, token, lease=self._lease))
        except StaleToken:
            message = self._held.get((token, execution))
            if message is not None and not message.settled:
                message.lost = True
                self.forget(message)
        except TimersError:
            return  # tried again at the next third of the lease
