from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from django.db import DataError, OperationalError

from tests import factories
from tests.support.executions import START_US, outcome, started
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import rows_of
from timers.clock import DatabaseClock
from timers.control.gone_receivers import GoneReceivers
from timers.engine.execution import Holder
from timers.engine.finish import Finished
from timers.engine.outcome import Outcome, Verdict, counted_as, judge
from timers.models import Claim, StatsMinute, Waiting
from timers.scheduling import schedule_once
from timers.testing import START, Stepper
from timers.worker import recorder as recorder_module
from timers.worker.failure_lines import SPAN_SECONDS
from timers.worker.minute_stats import MinuteStats
from timers.worker.next_steps import NextSteps
from timers.worker.options import NodeOptions
from timers.worker.recorder import MAX_BATCH, Recorder

Finish = Callable[[Holder, Sequence[Outcome], int], Finished]


class Bench:
    """A recorder that is stepped by the test, and what it told of."""

    def __init__(self, holder: Holder | None = None) -> None:
        self.told: list[Finished] = []
        self.gone: list[GoneReceivers] = []
        self.started = started()
        self.stats = MinuteStats(1)
        self.recorder = Recorder(
            holder or Holder(1, "node-a", 1, 4711), DatabaseClock(START), self.started, self.stats, self.told.append,
            self.gone.append, NextSteps(NodeOptions(name="node-a"), lambda: lambda _: False, self.started),
        )  # fmt: skip

    @property
    def recorded(self) -> list[Outcome]:
        return [outcome for finished in self.told for outcome, _ in finished.verdicts]


def ends(outcomes: Sequence[Outcome]) -> Finished:
    return Finished(verdicts=[(outcome, judge(outcome, START_US)) for outcome in outcomes])


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def finish_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Sequence[Outcome]], Finished]], None]:
    """Replace the engine's finish with a function of the test."""

    def replace(stand_in: Callable[[Sequence[Outcome]], Finished]) -> None:
        monkeypatch.setattr(recorder_module, "finish", lambda holder, outcomes, now_us, *_: stand_in(outcomes))

    return replace


def test_what_has_come_is_written_together(bench: Bench, finish_by: Callable[..., None]) -> None:
    batches: list[int] = []

    def finish(outcomes: Sequence[Outcome]) -> Finished:
        batches.append(len(outcomes))
        return ends(outcomes)

    finish_by(finish)
    for _ in range(3):
        bench.recorder.put([outcome(), outcome()])
    assert bench.recorder.pending == 6
    bench.recorder.step()
    assert batches == [6]
    assert bench.recorder.pending == 0


def test_very_many_are_written_in_batches_without_a_wait(bench: Bench, finish_by: Callable[..., None]) -> None:
    finish_by(ends)
    bench.recorder.put([outcome() for _ in range(2 * MAX_BATCH + 1)])
    assert [bench.recorder.step(), bench.recorder.step()] == [0, 0]
    assert bench.recorder.step() > 0
    assert bench.recorder.counters.succeeded == 2 * MAX_BATCH + 1


def test_a_database_fault_keeps_the_batch_and_nothing_is_lost_or_doubled(
    bench: Bench, finish_by: Callable[..., None]
) -> None:
    faults = [OperationalError("server closed the connection"), OperationalError("the same again"), None]

    def finish(outcomes: Sequence[Outcome]) -> Finished:
        if fault := faults.pop(0):
            raise fault
        return ends(outcomes)

    finish_by(finish)
    outcomes = [outcome() for _ in range(3)]
    for each in outcomes:
        each.execution.cell = bench.started.begin(each.execution.id, 1, 1.0)
    bench.recorder.put(outcomes)
    for _ in range(2):
        with pytest.raises(OperationalError):
            bench.recorder.step()
        assert bench.recorder.pending == 3
        assert len(list(bench.started.cells())) == 3
    bench.recorder.put([outcome()])
    bench.recorder.step()
    assert bench.recorded[:3] == outcomes
    assert len(bench.recorded) == 4
    assert list(bench.started.cells()) == []


def test_one_outcome_that_the_database_refuses_stops_no_other(bench: Bench, finish_by: Callable[..., None]) -> None:
    bad = outcome(result='"\x00"')

    def finish(outcomes: Sequence[Outcome]) -> Finished:
        if any(each.result for each in outcomes):
            raise DataError("invalid byte sequence")
        return ends(outcomes)

    finish_by(finish)
    good = [outcome() for _ in range(4)]
    bench.recorder.put([*good[:2], bad, *good[2:]])
    bench.recorder.step()
    assert [each for each in bench.recorded if each.word == "succeeded"] == good
    (instead,) = [each for each in bench.recorded if each.word == "error"]
    assert instead.execution is bad.execution
    assert "could not be recorded: invalid byte sequence" in str(instead.error_title)
    assert bench.recorder.pending == 0


def test_what_cannot_be_recorded_in_any_form_does_not_block_the_rest(
    bench: Bench, finish_by: Callable[..., None]
) -> None:
    hopeless, good = outcome(), outcome()

    def finish(outcomes: Sequence[Outcome]) -> Finished:
        if any(each.execution is hopeless.execution for each in outcomes):
            raise DataError("no")
        return ends(outcomes)

    finish_by(finish)
    bench.recorder.put([hopeless, good])
    bench.recorder.step()
    assert bench.recorded == [good]
    assert bench.recorder.pending == 0


def test_an_outcome_whose_timer_is_locked_is_tried_again_and_keeps_its_cell(
    bench: Bench, finish_by: Callable[..., None]
) -> None:
    locked, free = outcome(), outcome()
    for each in (locked, free):
        each.execution.cell = bench.started.begin(each.execution.id, 1, 1.0)
    answers = [
        Finished(verdicts=[(free, Verdict("end"))], deferred=[locked]),
        Finished(verdicts=[(locked, Verdict("end"))]),
    ]
    finish_by(lambda outcomes: answers.pop(0))
    bench.recorder.put([locked, free])
    assert 0 < bench.recorder.step() < 1
    assert [cell.execution for cell in bench.started.cells()] == [locked.execution.id]
    assert bench.recorder.pending == 1
    bench.recorder.step()
    assert list(bench.started.cells()) == []
    assert bench.recorder.pending == 0


def test_outcomes_are_counted_by_what_follows_from_them(bench: Bench, finish_by: Callable[..., None]) -> None:
    gone = outcome()

    def finish(outcomes: Sequence[Outcome]) -> Finished:
        finished = ends([each for each in outcomes if each is not gone])
        finished.refused = [gone]
        return finished

    finish_by(finish)
    bench.recorder.put([outcome(), outcome(), outcome("error"), outcome("error", permanent=True), gone])
    bench.recorder.step()
    counters = bench.recorder.counters
    assert (counters.succeeded, counters.retried, counters.failed, counters.refused) == (2, 1, 1, 1)


def test_the_real_finish_takes_a_batch_with_one_unrecordable_outcome(
    node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work")
    timers = [schedule_once("work", f"{number}", after=1) for number in range(5)]
    node.time.advance(1)
    node.claim()
    outcomes = node.run()
    # As no code of ours would make it: text that PostgreSQL cannot hold.
    (bad,) = [each for each in outcomes if each.execution.name == "2"]
    bad.log = "NUL \x00"
    bench = Bench(node.holder)
    bench.recorder.put(outcomes)
    bench.recorder.step()
    words = [rows_of(timer)[0].outcome for timer in timers]
    assert words == ["succeeded", "succeeded", "error", "succeeded", "succeeded"]
    assert Waiting.objects.get().state == "failed"
    assert not Claim.objects.exists()


def test_minute_statistics_are_added_up_and_written_once(node: Stepper, handlers: TemporaryHandlers) -> None:
    group = factories.group("work")
    stats = MinuteStats(7)
    late = outcome()
    late.started_us = late.execution.available_us + 90_000
    for each in (outcome(), late, outcome("error"), outcome("error", permanent=True)):
        each.execution.group = each.execution.group.of(group)
        stats.count(each, counted_as(each, judge(each, START_US)))
    stats.flush()
    stats.flush()
    row = StatsMinute.objects.get()
    assert (row.node_id, row.group_id, row.minute) == (7, group.id, START)
    assert (row.succeeded, row.retried, row.failed) == (2, 1, 1)
    assert row.lateness[:3] == [3, 0, 1]
    assert row.lateness_max_ms == 90
    again = outcome()
    again.execution.group = again.execution.group.of(group)
    stats.count(again, "succeeded")
    stats.flush()
    row.refresh_from_db()
    assert (row.succeeded, row.lateness[0], row.lateness_max_ms) == (3, 4, 90)


def test_a_try_that_failed_is_in_the_log(
    bench: Bench, finish_by: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    finish_by(ends)
    bench.recorder.put([outcome("error", error_title="ValueError: no"), outcome()])
    assert 0 < bench.recorder.step() <= SPAN_SECONDS
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith("try 1: ValueError: no; is tried again in 120.0 s")


def test_outcome_that_cannot_be_judged_stops_no_other(
    bench: Bench, finish_by: Callable[[Callable[[Sequence[Outcome]], Finished]], None]
) -> None:
    spoilt, good = outcome("snoozed", wait="soon"), outcome()
    finish_by(ends)
    bench.recorder.put([spoilt, good])
    bench.recorder.step()
    assert {each.execution.id: each.word for each in bench.recorded} == {
        spoilt.execution.id: "error",
        good.execution.id: "succeeded",
    }
    assert bench.recorder.pending == 0


def test_database_error_among_single_outcomes_counts_each_of_them_once(
    bench: Bench, finish_by: Callable[..., None]
) -> None:
    """The database becomes unavailable after two of four were recorded one by one, because the third is bad."""
    bad, others = outcome(result='"\x00"'), [outcome() for _ in range(3)]
    recorded: list[Outcome] = []
    faults = [OperationalError("the database is unavailable")]

    def finish(outcomes: Sequence[Outcome]) -> Finished:
        if any(each.result for each in outcomes):
            raise DataError("invalid byte sequence")
        if len(recorded) == 2 and faults:
            raise faults.pop()
        gone = [each for each in outcomes if any(each is one for one in recorded)]
        finished = ends([each for each in outcomes if not any(each is one for one in gone)])
        finished.refused = gone
        recorded.extend(each for each, _ in finished.verdicts)
        return finished

    finish_by(finish)
    for each in [*others, bad]:
        each.execution.cell = bench.started.begin(each.execution.id, 1, 1.0)
    bench.recorder.put([*others[:2], bad, others[2]])
    with pytest.raises(OperationalError):
        bench.recorder.step()
    assert (bench.recorder.pending, len(list(bench.started.cells()))) == (2, 2)
    bench.recorder.step()
    counters = bench.recorder.counters
    assert (counters.succeeded, counters.failed, counters.refused) == (3, 1, 0)
    assert len(bench.recorded) == 4
    assert list(bench.started.cells()) == []


def test_outcome_that_is_deferred_among_single_ones_keeps_its_cell(
    bench: Bench, finish_by: Callable[..., None]
) -> None:
    bad = outcome(result='"\x00"')
    bad.execution.cell = bench.started.begin(bad.execution.id, 1, 1.0)

    def finish(outcomes: Sequence[Outcome]) -> Finished:
        if any(each.result for each in outcomes):
            raise DataError("invalid byte sequence")
        return Finished(deferred=list(outcomes))

    finish_by(finish)
    bench.recorder.put([bad])
    bench.recorder.step()
    assert [cell.execution for cell in bench.started.cells()] == [bad.execution.id]
    assert bench.recorder.pending == 1


def test_gone_receivers_are_paused_elsewhere(
    bench: Bench, finish_by: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause may wait for seconds, and outcomes are recorded meanwhile."""
    gone = {("work", "billing"): "status 410"}
    finish_by(ends)
    monkeypatch.setattr(recorder_module, "gone_receivers", lambda verdicts: gone)
    bench.recorder.put([outcome()])
    bench.recorder.step()
    assert bench.gone == [gone]
