"""Consumer: the messages of a group, one after the other; the lease of what is held is kept in the background."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from threading import Condition, Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from timers_client import calls
from timers_client.answers import Claimed, Raw
from timers_client.errors import ConnectionFailed, LeaseLost, RateLimited, StaleToken, TimersError, Unavailable
from timers_client.leases import Leases

if TYPE_CHECKING:
    from timers_client.sync import TimersClient

LONGEST_PAUSE: Final = 10.0
_PASSING: Final = (ConnectionFailed, Unavailable, RateLimited)


class Discard(Exception):
    """Raise it in a message's block: not yet, show it again; after `delay` seconds, or when the retry policy says."""

    def __init__(self, reason: str = "", delay: float | None = None) -> None:
        self.reason, self.delay = reason, delay
        super().__init__(reason)


class Message:
    """One message. Leaving its block commits it; Discard in the block gives it back, as any other exception does."""

    def __init__(self, consumer: Consumer, claimed: Claimed) -> None:
        self._consumer = consumer
        self.execution = claimed.execution
        self.token = claimed.token
        self.envelope: Raw = claimed.envelope
        self.result: Any = None
        """Set it in the block, to be kept with the execution: JSON of at most 8 KB."""
        self.lost = False
        """Its lease is over: somebody else may have it by now."""
        self.settled = False

    @property
    def payload(self) -> Any:
        """The payload, unchanged."""
        return self.envelope["Payload"]

    @property
    def number_of_try(self) -> int:
        """1 for the first try."""
        return int(self.envelope["NumberOfTry"])

    def commit(self) -> None:
        """Done; raises LeaseLost when it is this consumer's no more."""
        self._settle(calls.commit(self.execution, self.token, result=self.result))

    def discard(self, reason: str = "", *, delay: float | None = None) -> None:
        """Not yet; raises LeaseLost when it is this consumer's no more."""
        self._settle(calls.discard(self.execution, self.token, delay=delay, reason=reason))

    def _settle(self, call: Any) -> None:
        try:
            self._consumer.client.call(call)
        except StaleToken as error:
            self.lost = True
            raise LeaseLost(f"message {self.execution} is not this consumer's any more") from error
        finally:
            self.settled = True
            self._consumer.forget(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self.settled:
            return isinstance(error, Discard)
        if error is None:
            self.commit()
        elif isinstance(error, Discard):
            self.discard(error.reason, delay=error.delay)
        elif isinstance(error, Exception):
            try:
                self.discard(f"{type(error).__name__}: {error}")
            except TimersError as failed:
                # The block's own error is what its author must see.
                error.add_note(f"nor could the message be discarded: {failed}")
        return isinstance(error, Discard)


class Consumer:
    """An endless iterator of messages; `stop` ends it after the message at hand.

    What was claimed and not settled when it ends is shown again when its lease is over.
    """

    def __init__(
        self,
        client: TimersClient,
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
        self._held: dict[tuple[str, str], Message] = {}
        self._changed = Condition()
        self._stopped = Event()
        self._keeper: Thread | None = None

    def stop(self) -> None:
        """Claim nothing more; may be called from a signal handler or another thread."""
        self._stopped.set()

    def __iter__(self) -> Iterator[Message]:
        keeper = self._keeper = Thread(target=self._keep, name=f"leases of {self._name}", daemon=True)
        keeper.start()
        try:
            pauses = 0
            while not self._stopped.is_set():
                messages, pauses = self._claim(pauses)
                for message in messages:
                    if self._stopped.is_set():
                        return
                    yield message
        finally:
            self._stopped.set()
            with self._changed:
                self._keeper = None
                self._changed.notify_all()
            keeper.join()

    def forget(self, message: Message) -> None:
        """The message is settled, or lost."""
        with self._changed:
            self._held.pop((message.token, message.execution), None)
            self._leases.let_go(message.token, message.execution)

    def _claim(self, pauses: int) -> tuple[list[Message], int]:
        """The next messages; and how often in a row the service could not be reached."""
        began = time.monotonic()
        call = calls.claim(
            self._group, self._name, limit=self._limit, lease=self._lease, wait=self._wait,
            subscription=self._subscription,
        )  # fmt: skip
        try:
            claimed = self.client.call(call)
        except _PASSING:
            # A consumer outlives its service: it goes on when that is back.
            self._stopped.wait(min(LONGEST_PAUSE, 0.5 * 2.0**pauses))
            return [], min(pauses + 1, 10)
        if not claimed and time.monotonic() - began < self._wait / 2:
            # Answered at once: too many wait already, or no waiting was asked for.
            self._stopped.wait(1.0)
        messages = [Message(self, each) for each in claimed]
        with self._changed:
            for message in messages:
                self._held[message.token, message.execution] = message
            for token in {message.token for message in messages}:
                executions = {message.execution for message in messages if message.token == token}
                self._leases.hold(token, executions, began)
            self._changed.notify_all()
        return messages, 0

    def _keep(self) -> None:
        """Keep what is held, until the iteration ends."""
        while True:
            with self._changed:
                if self._keeper is None:
                    return
                next_at = self._leases.next_at()
                wait = None if next_at is None else next_at - time.monotonic()
                if wait is None or wait > 0:
                    self._changed.wait(wait)
                    continue
                due = self._leases.due(time.monotonic())
            for token, execution in due:
                self._extend(token, execution)

    def _extend(self, token: str, execution: str) -> None:
        try:
            self.client.call(calls.extend(execution, token, lease=self._lease))
        except StaleToken:
            message = self._held.get((token, execution))
            if message is not None and not message.settled:
                message.lost = True
                self.forget(message)
        except TimersError:
            return  # tried again at the next third of the lease
