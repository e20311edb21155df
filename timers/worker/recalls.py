"""Recalls: handle changes that come after the claim, when they arrive and not periodically.

Recalled executions that have not begun are removed from the queues and held back until the change has ended. Revoked
executions end at once if they have not begun, and cooperatively if they have.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Final

from timers.clock import DatabaseClock
from timers.database import connection
from timers.engine.execution import Execution, Holder
from timers.engine.outcome import Outcome
from timers.engine.recall_answers import Request, answer, has_ended, open_requests, standing_of
from timers.worker.agenda import Agenda
from timers.worker.attempts import never_begun
from timers.worker.executor import Executor
from timers.worker.in_flight import Started
from timers.worker.loop import Loop

HAND_OVER_SECONDS: Final = 0.05
"""Maximum seconds that an execution may be between two queues, or between the commit of its claim and the first queue.
"""
LOOK_SECONDS: Final = 0.002
SETTLE_SECONDS: Final = 0.01
"""Seconds between checks whether a change has ended; longer after a while."""
LONGEST_SETTLE_SECONDS: Final = 0.1
POLL_SECONDS: Final = 0.1
"""Seconds between polls for requests if no notification announces them."""
IDLE_SECONDS: Final = 60.0
"""Seconds without a request after which the database session is closed."""
UNTIL_WOKEN: Final = 3600.0


class Recalls:
    """Responds to the changes that concern this worker's executions, in its own thread."""

    def __init__(
        self,
        holder: Holder,
        clock: DatabaseClock,
        started: Started,
        agenda: Agenda,
        executor: Executor,
        *,
        begin: Callable[[Sequence[Execution]], None],
        report: Callable[[list[Outcome]], None],
        no_longer_held: Callable[[Sequence[Execution]], None],
        polls: bool,
    ) -> None:
        self._holder = holder
        self._clock = clock
        self._started = started
        self._agenda = agenda
        self._executor = executor
        self._begin = begin
        self._report = report
        self._no_longer_held = no_longer_held
        self._polls = polls
        self._revoked: deque[Collection[str]] = deque()
        self._held_back: dict[str, tuple[Execution, set[int]]] = {}
        """Executions by their ids, and the tokens of the changes that may still take each of them."""
        self._settle_seconds = SETTLE_SECONDS
        self._served_at = 0.0
        self.loop = Loop("recalls", self.step)

    @property
    def pending(self) -> int:
        """Number of executions that are held back."""
        return len(self._held_back)

    def poll(self) -> None:
        """Poll for requests regularly from now on, because no notification announces them. Any thread may call it."""
        self._polls = True
        self.loop.wake()

    def revoke(self, executions: Collection[str]) -> None:
        """End these executions, whether begun or not. Any thread may call it."""
        self._revoked.append(executions)
        self.loop.wake()

    def step(self) -> float:
        """Handle what has arrived. Return the seconds to the next check."""
        while self._revoked:
            self._end(self._revoked.popleft())
        for request in open_requests(self._holder):
            self._served_at = time.monotonic()
            self._serve(request)
        if self._held_back:
            self._settle()
        if self._held_back:
            return self._settle_seconds
        if self._polls:
            return POLL_SECONDS
        idle = time.monotonic() - self._served_at
        if idle < IDLE_SECONDS:
            return IDLE_SECONDS - idle
        connection.close()
        return UNTIL_WOKEN

    def _end(self, executions: Collection[str]) -> None:
        unstarted = self._agenda.take(executions) + self._executor.take(executions)
        if unstarted:
            now_us = self._clock.now_us()
            self._report([never_begun(execution, now_us) for execution in unstarted])
        self._executor.cancel(executions)

    def _serve(self, request: Request) -> None:
        wanted = set(request.executions)
        already = wanted & self._held_back.keys()
        for execution in self._take(wanted - already):
            self._held_back[execution.id] = execution, set()
        held_back = wanted & self._held_back.keys()
        for each in held_back:
            self._held_back[each][1].add(request.token)
        self._settle_seconds = SETTLE_SECONDS
        # If the response fails, they are held back until the change, which then counts them as begun, has ended.
        if not answer(request, held_back):
            for each in held_back:
                self._held_back[each][1].discard(request.token)

    def _take(self, wanted: set[str]) -> list[Execution]:
        """Remove executions that have not begun from the queues; those between two queues are searched repeatedly."""
        taken: list[Execution] = []
        left = set(wanted)
        deadline = time.monotonic() + HAND_OVER_SECONDS
        while left:
            taken += self._agenda.take(left) + self._executor.take(left)
            left -= {execution.id for execution in taken}
            if not left:
                break
            left -= {cell.execution for cell in self._started.cells()}
            if time.monotonic() >= deadline:
                break
            time.sleep(LOOK_SECONDS)
        return taken

    def _settle(self) -> None:
        """Begin, end or forget executions that were held back for changes which have ended."""
        open_tokens = {token for _, tokens in self._held_back.values() for token in tokens}
        ended = {token for token in open_tokens if has_ended(token)}
        for _, tokens in self._held_back.values():
            tokens.difference_update(ended)
        free = [execution for execution, tokens in self._held_back.values() if not tokens]
        if not free:
            self._settle_seconds = min(self._settle_seconds * 1.5, LONGEST_SETTLE_SECONDS)
            return
        standing = standing_of(free)
        for execution in free:
            del self._held_back[execution.id]
        now_us = self._clock.now_us()
        if standing.gone:
            self._no_longer_held(standing.gone)
        if standing.to_end:
            self._report([never_begun(execution, now_us) for execution in standing.to_end])
        if standing.to_begin:
            self._begin(standing.to_begin)
