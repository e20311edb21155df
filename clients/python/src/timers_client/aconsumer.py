"""AsyncConsumer: the messages of a group for asyncio; one task extends the leases of claimed messages."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from timers_client import calls
from timers_client.call import Call
from timers_client.errors import LeaseLost, NotFound, StaleToken, TimersError
from timers_client.holding import CLAIM_DEADLINE, Holding, Wish
from timers_client.message import HURRIED, AnyMessage, logger

if TYPE_CHECKING:
    from timers_client.aio import AsyncTimersClient
    from timers_client.answers import Claimed


class AsyncMessage(AnyMessage):
    """One message; see timers_client.consumer.Message."""

    def __init__(self, client: AsyncTimersClient, held: Holding[Any], claimed: Claimed) -> None:
        super().__init__(held, claimed)
        self._client = client

    async def commit(self) -> None:
        """Commit the message. Raises LeaseLost if this consumer no longer owns it."""
        await self._settle(calls.commit(self.execution, self.token, result=self.result))

    async def discard(self, reason: str = "", *, delay: float | None = None) -> None:
        """Discard the message, so that it is delivered again. Raises LeaseLost if this consumer no longer owns it."""
        await self._settle(calls.discard(self.execution, self.token, delay=delay, reason=reason))

    async def _settle(self, call: Call[None], deadline: float | None = None) -> None:
        is_refused = False
        try:
            await self._client.call(call, deadline=deadline)
        except (StaleToken, NotFound) as error:
            is_refused = True
            raise LeaseLost(f"message {self.execution} is not this consumer's any more") from error
        finally:
            self.end(is_refused=is_refused)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        ending = self.ending(error)
        if ending.call is not None:
            try:
                await self._settle(ending.call, ending.deadline)
            except TimersError as failed:
                return self.unsettled(ending, error, failed)
        return self.ended(ending, error)


class AsyncConsumer:
    """An endless asynchronous iterator of messages; `stop` ends it after the current message.

    When it ends, claimed messages that have not begun are discarded: at once if the loop itself ends; otherwise (a
    cancelled task leaves its iterator to the event loop) when the iterator or the client is closed. Messages passed to
    other tasks remain theirs: their leases are extended until they are committed or discarded.
    """

    def __init__(self, client: AsyncTimersClient, wish: Wish) -> None:
        self._client, self._wish = client, wish
        self._held: Holding[AsyncMessage] = Holding(wish)
        self._changed = asyncio.Event()
        self._stopped = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Claim no more messages. Call it from the event loop's thread."""
        self._stopped.set()

    async def close(self) -> None:
        """Stop, discard messages that have not begun, and extend no more leases."""
        await self._end()
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def __aiter__(self) -> AsyncIterator[AsyncMessage]:
        self._keeper = asyncio.create_task(self._keep(), name=f"leases of {self._wish.name}")
        try:
            with self._stopped_by_signals():
                while not self._stopped.is_set():
                    message = self._held.next_message()
                    if message is None:
                        await self._pause(await self._claim())
                    else:
                        yield message
        finally:
            await self._end()

    async def _end(self) -> None:
        self._stopped.set()
        await self._give_back()
        self._changed.set()

    async def _claim(self) -> float:
        """Claim more messages; return the seconds to wait before the next claim."""
        asked_at = time.monotonic()
        try:
            claimed = await self._client.call(self._held.claiming(), deadline=CLAIM_DEADLINE)
        except TimersError as error:
            pause = self._held.pause_after(error)
            if pause is None:
                raise
            return pause
        pause = self._held.take([AsyncMessage(self._client, self._held, each) for each in claimed], asked_at)
        self._changed.set()
        return pause

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), seconds)

    async def _give_back(self) -> None:
        until = time.monotonic() + HURRIED
        for message in self._held.unbegun():
            try:
                await self._client.call(message.giving_back(), deadline=max(0.0, until - time.monotonic()))
            except TimersError as error:
                logger.warning("message %s could not be given back: %s", message.execution, error)
            message.end()

    async def _keep(self) -> None:
        """Extend the leases until the iteration has ended and messages passed to other tasks are acknowledged."""
        while not (self._stopped.is_set() and self._held.is_empty()):
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self._held.seconds_to_next(time.monotonic()))
            for token, execution in self._held.to_keep(time.monotonic()):
                await self._extend(token, execution)

    async def _extend(self, token: str, execution: str) -> None:
        asked_at = time.monotonic()
        try:
            call = calls.extend(execution, token, lease=self._wish.lease)
            extended = await self._client.call(call, deadline=self._wish.lease / 3)
        except (StaleToken, NotFound):
            self._held.refused(token, execution)
        except TimersError as error:
            logger.warning("the lease of message %s could not be kept: %s", execution, error)
        else:
            self._held.kept(token, asked_at, extended.cancelled)

    @contextmanager
    def _stopped_by_signals(self) -> Iterator[None]:
        """Let the signals of `stop_on` stop this consumer while it is iterated."""
        loop = asyncio.get_running_loop()
        before: dict[signal.Signals, Any] = {each: signal.getsignal(each) for each in self._wish.stop_on}
        for each in before:
            loop.add_signal_handler(each, self.stop)
        try:
            yield
        finally:
            for each, handler in before.items():
                loop.remove_signal_handler(each)
                signal.signal(each, signal.SIG_DFL if handler is None else handler)
