"""The recorder: writes outcomes into the ledger, in the batches in which they arrive."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from timers.clock import DatabaseClock
from timers.control.gone_receivers import GoneReceivers, gone_receivers
from timers.engine.execution import Holder
from timers.engine.finish import Finished, finish
from timers.engine.outcome import Outcome, counted_as
from timers.worker.attempts import unrecordable
from timers.worker.failure_lines import FailureLines
from timers.worker.in_flight import Started
from timers.worker.loop import Loop, is_database_fault
from timers.worker.minute_stats import MinuteStats
from timers.worker.next_steps import NextSteps

logger = logging.getLogger(__name__)

MAX_BATCH: Final = 1000
LONGEST_PAUSE: Final = 0.25
"""Maximum seconds between attempts while the database is unavailable: outcomes are recorded before anything is claimed.
"""
DEFERRED_SECONDS: Final = 0.05
"""Seconds until outcomes whose timer is locked are retried."""


@dataclass(slots=True)
class Counters:
    """What the worker has done since it started."""

    succeeded: int = 0
    retried: int = 0
    failed: int = 0
    skipped: int = 0
    refused: int = 0


class Recorder:
    """Accepts outcomes from any thread; its own thread finishes them.

    Idle: an outcome is written at once. Busy: outcomes that arrive while a batch is written form the next one. After a
    database error the batch is kept and retried; the claim makes that safe.
    """

    def __init__(
        self,
        holder: Holder,
        clock: DatabaseClock,
        started: Started,
        stats: MinuteStats,
        on_recorded: Callable[[Finished], None],
        on_gone: Callable[[GoneReceivers], None],
        next_steps: NextSteps,
    ) -> None:
        self._holder = holder
        self._clock = clock
        self._started = started
        self._stats = stats
        self._on_recorded = on_recorded
        self._on_gone = on_gone
        self._next_steps = next_steps
        self._incoming: deque[Outcome] = deque()
        self._batch: list[Outcome] = []
        self.counters = Counters()
        self.failures = FailureLines()
        self.loop = Loop("recorder", self.step, longest_pause=LONGEST_PAUSE)

    def put(self, outcomes: Sequence[Outcome]) -> None:
        """Record these outcomes."""
        self._incoming.extend(outcomes)
        self.loop.wake()

    @property
    def pending(self) -> int:
        """Number of outcomes that are not in the ledger yet."""
        return len(self._incoming) + len(self._batch)

    def step(self) -> float:
        """Write one batch. Return the seconds to wait for the next (none while there is more)."""
        while self._incoming and len(self._batch) < MAX_BATCH:
            self._batch.append(self._incoming.popleft())
        if self._batch:
            # The worker does not end before the next steps that were claimed are passed on.
            with self._next_steps.claiming:
                self._record()
        self.failures.tell_rest_if_old()
        self._stats.flush_if_old()
        if self._batch:
            return DEFERRED_SECONDS
        if self._incoming:
            return 0
        return min(self._stats.seconds_to_flush(), self.failures.seconds_to_rest())

    def _record(self) -> None:
        """Finish the batch; if something in it cannot be written, one by one, so that a bad outcome stops no other."""
        try:
            finished = finish(self._holder, self._batch, self._clock.now_us(), self._next_steps.offer)
        except Exception as error:
            if is_database_fault(error):
                self._next_steps.is_unsure = True
                raise
            logger.exception("a batch of %d outcomes was refused; they are recorded one by one", len(self._batch))
            self._record_singly()
            return
        self._note(self._batch, finished)
        self._batch = finished.deferred

    def _record_singly(self) -> None:
        """Finish the outcomes of the batch one by one.

        Each is noted before the next: after a database error only the rest is still in the batch, and retried.
        """
        left, deferred = deque(self._batch), list[Outcome]()
        try:
            while left:
                finished = self._finish_one(left[0])
                outcome = left.popleft()
                deferred += finished.deferred
                self._note([outcome], finished)
        finally:
            self._batch = [*left, *deferred]

    def _note(self, outcomes: Sequence[Outcome], finished: Finished) -> None:
        """Note the result of these outcomes: free their cells, count them, and report them."""
        deferred = {id(outcome.execution) for outcome in finished.deferred}
        for outcome in outcomes:
            if id(outcome.execution) not in deferred and outcome.execution.cell >= 0:
                self._started.forget(outcome.execution.cell)
        self._count(finished)
        self._on_recorded(finished)
        self._on_gone(gone_receivers(finished.verdicts))

    def _finish_one(self, outcome: Outcome) -> Finished:
        """Finish an outcome, or a form of it that can be written; the last form contains no text from outside."""
        fault: Exception | None = None
        for number in range(3):
            form = outcome if number == 0 else unrecordable(outcome, fault if number == 1 else None)
            try:
                return finish(self._holder, [form], self._clock.now_us())
            except Exception as error:
                if is_database_fault(error):
                    raise
                fault = error
        # It stays in its claim, to be rescued when this worker ends; the others continue.
        logger.error("the outcome of execution %s cannot be recorded in any form", outcome.execution.id, exc_info=fault)
        return Finished()

    def _count(self, finished: Finished) -> None:
        counters = self.counters
        for outcome, verdict in finished.verdicts:
            counted = counted_as(outcome, verdict)
            if counted == "succeeded":
                counters.succeeded += 1
            elif counted == "retried":
                counters.retried += 1
            elif counted == "failed":
                counters.failed += 1
            self._stats.count(outcome, counted)
            if verdict.next != "end":
                self.failures.tell(outcome, verdict)
        if finished.refused:
            counters.refused += len(finished.refused)
            logger.warning(
                "finish refused for %d executions that were taken from this worker meanwhile, first %s",
                len(finished.refused), finished.refused[0].execution.id,
            )  # fmt: skip
