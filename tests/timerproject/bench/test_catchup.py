from __future__ import annotations

from timerproject.bench import catchup
from timers.domain.policies import MISFIRE_POLICIES, Policies


def test_a_year_is_decided_about_in_less_than_a_second_of_cpu_and_a_bounded_number_of_rows() -> None:
    figures = catchup.measure(days=365)
    assert figures["instants_missed"] == 525_600
    assert figures["rows"] <= Policies().max_catchup + 2
    for costs in figures["cpu_ms"].values():
        assert set(costs) == set(MISFIRE_POLICIES)
        assert max(costs.values()) < 1_000
