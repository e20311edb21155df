"""Consumer: the messages of a group, one after the other; leases are extended in the background."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Thread, current_thread, main_thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from timers_client import calls
from timers_client.call import Call
from timers_client.errors import LeaseLost, NotFound, StaleToken, TimersError
from timers_client.holding import CLAIM_DEADLINE, Holding, Wish
from timers_client.message import HURRIED, AnyMessage, logger

if TYPE_CHECKING:
    from timers_client.answers import Claimed
    from timers_client.sync import TimersClient

_LOOKS_EVERY: Final = 0.1
"""Seconds within which a pause notices that it was stopped."""


class Message(AnyMessage):
    """One message. Leaving its block commits it; Discard, or any other exception, in the block discards it."""

    def __init__(self, client: TimersClient, held: Holding[Any], claimed: Claimed) -> None:
        super().__init__(held, claimed)
        self._client = client

    def commit(self) -> None:
        """Commit the message. Raises LeaseLost if this consumer no longer owns it."""
        self._settle(calls.commit(self.execution, self.token, result=self.result))

    def discard(self, reason: str = "", *, delay: float | None = None) -> None:
        """Discard the message, so that it is delivered again. Raises LeaseLost if this consumer no longer owns it."""
        self._settle(calls.discard(self.execution, self.token, delay=delay, reason=reason))

    def _settle(self, call: Call[None], deadline: float | None = None) -> None:
        is_refused = False
        try:
            self._client.call(call, deadline=deadline)
        except (StaleToken, NotFound) as error:
            is_refused = True
            raise LeaseLost(f"message {self.execution} is not this consumer's any more") from error
        finally:
            self.end(is_refused=is_refused)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        ending = self.ending(error)
        if ending.call is not None:
            try:
                self._settle(ending.call, ending.deadline)
            except TimersError as failed:
                return self.unsettled(ending, error, failed)
        return self.ended(ending, error)


class Consumer:
    """An endless iterator of messages; `stop` ends it after the current message.

    When it ends, claimed messages that have not begun are discarded. Messages passed to other threads remain theirs:
    their leases are extended until they are committed or discarded.
    """

    def __init__(self, client: TimersClient, wish: Wish) -> None:
        self._client, self._wish = client, wish
        self._held: Holding[Message] = Holding(wish)
        self._changed = Condition()
        self._is_stopped = False
        self._is_closed = False

    def stop(self) -> None:
        """Claim no more messages. Can be called from a signal handler or another thread."""
        # No lock and no event: a signal handler may run while this very thread holds it.
        self._is_stopped = True

    def close(self) -> None:
        """Stop, discard messages that have not begun, and extend no more leases."""
        self._is_closed = True
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Message]:
        keeper = Thread(target=self._keep, name=f"leases of {self._wish.name}", daemon=True)
        keeper.start()
        try:
            with self._stopped_by_signals():
                while not self._is_stopped:
                    message = self._held.next_message()
                    if message is None:
                        self._pause(self._claim())
                    else:
                        yield message
        finally:
            self._end()
            if self._held.is_empty():
                keeper.join(HURRIED)

    def _end(self) -> None:
        self._is_stopped = True
        self._give_back()
        with self._changed:
            self._changed.notify_all()

    def _claim(self) -> float:
        """Claim more messages; return the seconds to wait before the next claim."""
        asked_at = time.monotonic()
        try:
            claimed = self._client.call(self._held.claiming(), deadline=CLAIM_DEADLINE)
        except TimersError as error:
            pause = self._held.pause_after(error)
            if pause is None:
                raise
            return pause
        pause = self._held.take([Message(self._client, self._held, each) for each in claimed], asked_at)
        with self._changed:
            self._changed.notify_all()
        return pause

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._is_stopped and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOKS_EVERY))

    def _give_back(self) -> None:
        until = time.monotonic() + HURRIED
        for message in self._held.unbegun():
            try:
                self._client.call(message.giving_back(), deadline=max(0.0, until - time.monotonic()))
            except TimersError as error:
                logger.warning("message %s could not be given back: %s", message.execution, error)
            message.end()

    def _keep(self) -> None:
        """Extend the leases until the iteration has ended and messages passed to other threads are acknowledged."""
        while True:
            with self._changed:
                if self._is_closed or (self._is_stopped and self._held.is_empty()):
                    return
                self._changed.wait(self._held.seconds_to_next(time.monotonic()))
            for token, execution in self._held.to_keep(time.monotonic()):
                self._extend(token, execution)

    def _extend(self, token: str, execution: str) -> None:
        asked_at = time.monotonic()
        try:
            call = calls.extend(execution, token, lease=self._wish.lease)
            extended = self._client.call(call, deadline=self._wish.lease / 3)
        except (StaleToken, NotFound):
            self._held.refused(token, execution)
        except TimersError as error:
            logger.warning("the lease of message %s could not be kept: %s", execution, error)
        else:
            self._held.kept(token, asked_at, extended.cancelled)

    @contextmanager
    def _stopped_by_signals(self) -> Iterator[None]:
        """Let the signals of `stop_on` stop this consumer while it is iterated; possible only in the main thread."""
        before: dict[signal.Signals, Any] = {}
        if current_thread() is main_thread():
            before = {each: signal.signal(each, lambda *_: self.stop()) for each in self._wish.stop_on}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, signal.SIG_DFL if handler is None else handler)
