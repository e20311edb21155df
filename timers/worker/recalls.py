"""Recalls: serves changes that come after the claim, as they arrive and not by a tick.

What a change recalls and has not begun is taken out of the queues and held back until the change has ended; what is
revoked ends at once where it has not begun, and cooperatively where it has.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Final

from django.db import connection

from timers.clock import DatabaseClock
from timers.engine.execution import Execution, Holder
from timers.engine.outcome import Outcome
from timers.engine.recall_answers import Request, answer, has_ended, open_requests, standing_of
from timers.worker.agenda import Agenda
from timers.worker.attempts import never_begun
from timers.worker.executor import Executor
from timers.worker.in_flight import Started
from timers.worker.loop import Loop

HAND_OVER_SECONDS: Final = 0.05
"""How long an execution may be on its way between two queues, or from the commit of its claim into the first."""
LOOK_SECONDS: Final = 0.002
SETTLE_SECONDS: Final = 0.01
"""How often is looked whether a change has ended, after a while less often."""
LONGEST_SETTLE_SECONDS: Final = 0.1
POLL_SECONDS: Final = 0.1
"""How often is looked for requests where no notification announces them."""
IDLE_SECONDS: Final = 60.0
"""After so long without a request the database session is closed."""
UNTIL_WOKEN: Final = 3600.0


class Recalls:
    """Answers the changes that concern what this worker holds, in a thread of its own."""

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
        """Executions that are held back."""
        return len(self._held_back)

    def poll(self) -> None:
        """Look for requests regularly from now on: no notification announces them. Any thread may call it."""
        self._polls = True
        self.loop.wake()

    def revoke(self, executions: Collection[str]) -> None:
        """End these, begun or not: any thread may say so."""
        self._revoked.append(executions)
        self.loop.wake()

    def step(self) -> float:
        """Serve what has come; returns seconds to the next look."""
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
        # Should the answer fail, they stay held back until the change, which then takes them for begun, has ended.
        if not answer(request, held_back):
            for each in held_back:
                self._held_back[each][1].discard(request.token)

    def _take(self, wanted: set[str]) -> list[Execution]:
        """Take out of the queues what has not begun; what is between two of them is looked for once more."""
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
        """Let go on, or forget, what is held back for changes that have ended."""
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
