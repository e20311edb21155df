from __future__ import annotations

import math

import pytest

from timers.domain.suspicion import HIGHEST_PHI, SHORTEST_DEVIATION, phi, suspect_after

STEADY = [2.0] * 60
JUMPY = [1.5, 2.5] * 30


@pytest.mark.parametrize(
    ("deviations", "expected"),
    [(0, 0.30103), (1, 0.79955), (3, 2.86970), (5, 6.54265), (5.61200, 8.0), (6, 9.00592), (29, 184.48283)],
)
def test_phi_is_the_negative_logarithm_of_the_tail_of_the_normal_distribution(
    deviations: float, expected: float
) -> None:
    silence = 2.0 + deviations * SHORTEST_DEVIATION
    assert phi(silence, STEADY, 2.0, 0.0) == pytest.approx(expected, abs=1e-4)


def test_phi_rises_without_a_jump_where_the_tail_is_approximated() -> None:
    near = [phi(2.0 + (30 + step / 1000) * SHORTEST_DEVIATION, STEADY, 2.0, 0.0) for step in range(-5, 6)]
    assert near == sorted(near)
    assert near[-1] - near[0] < 0.2


@pytest.mark.parametrize("silence", [-1e9, -1.0, 0.0, 2.0, 10.0, 1e6, 1e300])
def test_phi_is_a_finite_number_for_any_silence(silence: float) -> None:
    found = phi(silence, STEADY, 2.0, 1.0)
    assert math.isfinite(found) and 0 <= found <= HIGHEST_PHI


def test_the_acceptable_pause_moves_the_suspicion() -> None:
    assert phi(3.5, STEADY, 2.0, 0.0) > 8 > phi(3.5, STEADY, 2.0, 1.0)


def test_a_node_that_beats_irregularly_is_suspected_later() -> None:
    assert phi(4.0, JUMPY, 2.0, 1.0) < 8 < phi(4.0, STEADY, 2.0, 1.0)


def test_a_node_without_history_is_expected_at_its_interval() -> None:
    assert phi(4.0, [], 2.0, 1.0) == phi(4.0, STEADY, 2.0, 1.0)
    assert phi(4.0, [], 30.0, 1.0) == 0.0


def test_what_is_measured_counts_and_not_the_interval_that_is_meant() -> None:
    assert phi(4.0, [5.0] * 10, 2.0, 0.0) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("threshold", [1.0, 3.0, 8.0, 16.0, 200.0, 1000.0])
@pytest.mark.parametrize("intervals", [[], STEADY, JUMPY, [2.0]])
def test_phi_comes_to_the_threshold_exactly_at_the_silence_that_is_told(
    threshold: float, intervals: list[float]
) -> None:
    silence = suspect_after(intervals, 2.0, 1.0, threshold)
    assert phi(silence + 1e-6, intervals, 2.0, 1.0) >= threshold
    assert phi(silence - 1e-3, intervals, 2.0, 1.0) < threshold
