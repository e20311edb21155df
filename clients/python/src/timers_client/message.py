"""What a message is and how its block ends, for threads and for asyncio alike; nothing here does any I/O."""

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
"""Seconds for giving back while the program is being ended."""


class Discard(Exception):
    """Raise it in a message's block: not yet, show it again; after `delay` seconds, or when the retry policy says."""

    def __init__(self, reason: str = "", delay: float | None = None) -> None:
        self.reason, self.delay = reason, delay
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Ending:
    """What leaving a block means: the call that settles the message, and what becomes of the block's error."""

    call: Call[None] | None
    is_swallowed: bool
    deadline: float | None = None
    """Seconds for the call; None: as long as any other."""


class AnyMessage(Received):
    """One message, as it was claimed."""

    def __init__(self, held: Holding[Any], claimed: Claimed) -> None:
        self._held = held
        self.execution = claimed.execution
        self.token = claimed.token
        self.envelope = claimed.envelope
        self.result: Any = None
        """Set it in the block, to be kept with the execution: JSON of at most 8 KB."""
        self.settled = False
        self.cancelled = False
        """Whether it is asked to end, as of the last time its lease was kept: `raise Discard` then cancels it."""
        self.is_begun = False
        self._is_refused = False

    @property
    def lost(self) -> bool:
        """Whether somebody else may have it by now: its lease was refused, or could not be kept in time."""
        return self._is_refused or (not self.settled and self._held.is_over(self.token, time.monotonic()))

    def ending(self, error: BaseException | None) -> Ending:
        """What leaving the block with this error (or none) means."""
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
        """The message is settled; returns whether the block's error ends here."""
        if ending.is_swallowed and error is not None and not isinstance(error, Discard):
            logger.error("message %s was discarded after an error", self.execution, exc_info=error)
        return ending.is_swallowed

    def unsettled(self, ending: Ending, error: BaseException | None, failed: TimersError) -> bool:
        """The message could not be settled; returns whether the block's error ends here, or raises why not."""
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
        """The call that gives it back before it was begun."""
        reason = "given back before it was begun: its consumer stopped"
        return calls.discard(self.execution, self.token, delay=0, reason=reason)

    def end(self, *, is_refused: bool = False) -> None:
        """It has been settled, or cannot be."""
        self.settled = True
        self._is_refused = is_refused
        self._held.forget(self)

    def refuse(self) -> None:
        """The service says that it is not this consumer's any more."""
        self._is_refused = True
        self._held.forget(self)
