"""Messages and the end of their blocks, for threads and asyncio alike. Pure, without I/O."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from timers_client import calls
from timers_client.answers import Claimed
from timers_client.call import Call
from timers_client.errors import LeaseLost, TimersError
from timers_client.received import Received

if TYPE_CHECKING:
    from timers_client.holding import Holding

logger = logging.getLogger("timers_client")

HURRIED: Final = 5.0
"""Seconds for discarding while the program is ending."""


class Discard(Exception):
    """Raise it in a message's block to discard the message: it is delivered again after `delay` seconds, or by the
    retry policy."""

    def __init__(self, reason: str = "", delay: float | None = None) -> None:
        self.reason, self.delay = reason, delay
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Ending:
    """Consequence of leaving a block: the call that acknowledges the message, and the fate of its error."""

    call: Call[None] | None
    is_swallowed: bool
    deadline: float | None = None
    """Deadline of the call in seconds; None: the default."""


class AnyMessage(Received):
    """One claimed message."""

    def __init__(self, held: Holding[Any], claimed: Claimed) -> None:
        self._held = held
        self.execution = claimed.execution
        self.token = claimed.token
        self.envelope = claimed.envelope
        self.result: Any = None
        """Set it in the block to store a result with the execution: JSON of at most 8 KB."""
        self.settled = False
        self.cancelled = False
        """Whether it was asked to stop, as of the last extension of its lease: `raise Discard` then cancels it."""
        self.is_begun = False
        self._is_refused = False

    @property
    def lost(self) -> bool:
        """Whether another consumer may have it: its lease was refused, or could not be extended in time."""
        return self._is_refused or (not self.settled and self._held.is_over(self.token, time.monotonic()))

    def ending(self, error: BaseException | None) -> Ending:
        """Return the consequence of leaving the block with this error, or with none."""
        if self.settled:
            return Ending(None, isinstance(error, Discard))
        if error is None:
            return Ending(calls.commit(self.execution, self.token, result=self.result), is_swallowed=False)
        if isinstance(error, Discard):
            call = calls.discard(self.execution, self.token, delay=error.delay, reason=error.reason)
            return Ending(call, is_swallowed=True)
        call = calls.discard(self.execution, self.token, reason=f"{type(error).__name__}: {error}")
        if isinstance(error, Exception):
            return Ending(call, is_swallowed=self._held.goes_on_after_errors)
        return Ending(call, is_swallowed=False, deadline=HURRIED)

    def ended(self, ending: Ending, error: BaseException | None) -> bool:
        """Record the acknowledgement; return whether the block's error is handled."""
        if ending.is_swallowed and error is not None and not isinstance(error, Discard):
            logger.error("message %s was discarded after an error", self.execution, exc_info=error)
        return ending.is_swallowed

    def unsettled(self, ending: Ending, error: BaseException | None, failed: TimersError) -> bool:
        """Handle a failed acknowledgement: return whether the block's error is handled, or raise the failure."""
        wish = self._held.wish
        is_logged = wish.on_lost == "log" if isinstance(failed, LeaseLost) else wish.on_error == "log"
        if error is None or isinstance(error, Discard):
            if not is_logged:
                raise failed
            logger.error("message %s could not be settled: %s", self.execution, failed)
            return True
        # The block's own error is what its author must see.
        error.add_note(f"nor could the message be discarded: {failed}")
        return self.ended(ending, error)

    def giving_back(self) -> Call[None]:
        """Return the call that discards it before it has begun."""
        reason = "given back before it was begun: its consumer stopped"
        return calls.discard(self.execution, self.token, delay=0, reason=reason)

    def end(self, *, is_refused: bool = False) -> None:
        """Record that it was acknowledged, or cannot be."""
        self.settled = True
        self._is_refused = is_refused
        self._held.forget(self)

    def refuse(self) -> None:
        """Record that the service says that this consumer no longer owns it."""
        self._is_refused = True
        self._held.forget(self)
