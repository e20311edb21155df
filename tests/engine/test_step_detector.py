"""A step is told from drift, slow networks, stalls and frozen processes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from timers.engine.step_detector import STEP, StepDetector

START = datetime(2027, 3, 1, 12, tzinfo=UTC)


class Clocks:
    """A database clock and a machine's clock, which a test moves together or apart."""

    def __init__(self) -> None:
        self.detector = StepDetector()
        self.database, self.boot = START, 500.0

    def wait(self, seconds: float, *, database: float | None = None) -> None:
        self.boot += seconds
        self.database += timedelta(seconds=seconds if database is None else database)

    def read(self, *, before: float = 0.001, after: float = 0.001) -> float:
        """One statement: so many seconds on its way there, and back."""
        sent = self.boot
        self.wait(before)
        shown = self.database
        self.wait(after)
        return self.detector.step(shown, sent, self.boot)


@pytest.fixture
def clocks() -> Clocks:
    made = Clocks()
    assert made.read() == 0.0
    return made


@pytest.mark.parametrize("seconds", [7200, 60, -60, -120, -7200, STEP + 0.1, -STEP - 0.1])
def test_a_step_is_measured(clocks: Clocks, seconds: float) -> None:
    clocks.wait(2)
    clocks.database += timedelta(seconds=seconds)
    assert clocks.read() == pytest.approx(seconds, abs=0.01)


def test_a_step_is_found_again_until_it_is_accepted(clocks: Clocks) -> None:
    clocks.wait(2)
    clocks.database += timedelta(seconds=60)
    assert clocks.read() == pytest.approx(60, abs=0.01)
    clocks.wait(1)
    assert clocks.read() == pytest.approx(60, abs=0.01)
    assert clocks.detector.elapsed(clocks.boot) == pytest.approx(3, abs=0.01)
    clocks.detector.accept(clocks.database, clocks.boot, clocks.boot)
    clocks.wait(1)
    assert clocks.read() == 0.0


@pytest.mark.parametrize(("before", "after"), [(30.0, 0.0), (0.0, 30.0), (15.0, 15.0)])
def test_a_statement_that_takes_long_is_no_step(clocks: Clocks, before: float, after: float) -> None:
    clocks.wait(2)
    assert clocks.read(before=before, after=after) == 0.0
    clocks.wait(2)
    assert clocks.read() == 0.0


def test_a_process_that_was_frozen_between_two_readings_sees_no_step(clocks: Clocks) -> None:
    clocks.wait(3600)
    assert clocks.read() == 0.0


@pytest.mark.parametrize("factor", [1 + 0.08, 1 - 0.08])
def test_a_slew_by_ntp_is_no_step_however_far_it_goes_in_the_end(clocks: Clocks, factor: float) -> None:
    # chrony corrects by up to 8.3 % of the speed.
    for _ in range(300):
        clocks.wait(2, database=2 * factor)
        assert clocks.read() == 0.0


@pytest.mark.parametrize("ppm", [500, -500])
def test_drift_over_a_long_pause_is_no_step(clocks: Clocks, ppm: float) -> None:
    day = 86_400
    clocks.wait(day, database=day * (1 + ppm / 1_000_000))
    assert clocks.read() == 0.0


@pytest.mark.parametrize("seconds", [2.4, -2.4, 1.0, -1.0])
def test_what_is_smaller_than_a_step_is_taken_as_it_is(clocks: Clocks, seconds: float) -> None:
    clocks.wait(2)
    clocks.database += timedelta(seconds=seconds)
    assert clocks.read() == 0.0
