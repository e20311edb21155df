from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.support.executions import execution, outcome, served_group
from timers.engine.outcome import Next, OutcomeWord, Verdict
from timers.worker.failure_lines import LINES_OF_A_FAULT, MAX_FAULTS, SPAN_SECONDS, FailureLines


class Bench:
    """Lines of failures, written at instants that the test says."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.now = 100.0
        self.lines = FailureLines(lambda: self.now)
        self._caplog = caplog
        caplog.set_level(logging.WARNING, "timers.worker.failure_lines")

    def fails(self, then: Next = "again", word: OutcomeWord = "error", **fields: Any) -> None:
        """A try of troubles/flaky fails; its next one is three seconds later."""
        of = execution(name="flaky", group=served_group(name=fields.pop("group", "troubles")), attempt=2)
        ended = outcome(word, of=of, **({"error_title": "ValueError: 4711", "error_fingerprint": "f"} | fields))
        self.lines.tell(ended, Verdict(then, ended.finished_us + 3_000_000 if then == "again" else 0))

    @property
    def written(self) -> list[str]:
        return [record.getMessage() for record in self._caplog.records]


@pytest.fixture
def bench(caplog: pytest.LogCaptureFixture) -> Bench:
    return Bench(caplog)


@pytest.mark.parametrize(
    ("then", "words"),
    [
        ("again", "is tried again in 3.0 s"),
        ("park", "has failed and waits for a person"),
        ("drop", "has failed and is dropped"),
    ],
)
def test_a_failed_try_is_told_with_what_comes_next(then: Next, words: str, bench: Bench) -> None:
    bench.fails(then)
    assert bench.written == [f"troubles/flaky, try 2: ValueError: 4711; {words}"]


@pytest.mark.parametrize("word", ["discarded", "snoozed", "lost"])
def test_what_is_only_shown_again_is_no_failure(word: OutcomeWord, bench: Bench) -> None:
    bench.fails(word=word)
    assert bench.written == []


def test_a_discard_too_many_is_a_failure(bench: Bench) -> None:
    bench.fails("park", "discarded", error_title=None, error_fingerprint=None, reason="not yet")
    assert bench.written == ["troubles/flaky, try 2: not yet; has failed and waits for a person"]


def test_of_an_error_of_several_lines_the_first_is_told(bench: Bench) -> None:
    bench.fails(error_title="KeyError: a\n12:00:00 INFO all is well")
    assert bench.written == ["troubles/flaky, try 2: KeyError: a; is tried again in 3.0 s"]


def test_very_many_tries_of_one_fault_are_a_few_lines_and_a_count(bench: Bench) -> None:
    for number in range(500):
        bench.fails(error_title=f"ValueError: {number}")
    bench.now += SPAN_SECONDS
    bench.lines.tell_rest_if_old()
    assert len(bench.written) == LINES_OF_A_FAULT + 1
    assert bench.written[-1] == "497 more tries in 10 s of group troubles: ValueError: 0; each is tried again"


def test_faults_are_counted_apart_by_group_error_and_what_follows(bench: Bench) -> None:
    for _ in range(LINES_OF_A_FAULT):
        bench.fails()
        bench.fails(group="others")
        bench.fails(error_fingerprint="g")
        bench.fails("park")
    bench.lines.tell_rest()
    assert len(bench.written) == 4 * LINES_OF_A_FAULT


def test_of_very_many_faults_the_last_are_counted_together(bench: Bench) -> None:
    for number in range(MAX_FAULTS + 200):
        bench.fails(error_fingerprint=str(number))
    bench.lines.tell_rest()
    assert len(bench.written) == MAX_FAULTS + 1
    assert bench.written[-1] == "200 more tries in 0 s of other faults"


def test_lines_are_written_again_when_the_span_has_ended(bench: Bench) -> None:
    assert bench.lines.seconds_to_rest() > SPAN_SECONDS
    for _ in range(LINES_OF_A_FAULT + 1):
        bench.fails()
    assert bench.lines.seconds_to_rest() == SPAN_SECONDS
    bench.now += SPAN_SECONDS - 1
    bench.lines.tell_rest_if_old()
    assert len(bench.written) == LINES_OF_A_FAULT
    bench.now += 1
    bench.lines.tell_rest_if_old()
    bench.fails()
    assert len(bench.written) == LINES_OF_A_FAULT + 2
