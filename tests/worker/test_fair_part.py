from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timers.worker.fair_part import Occupied, fair_parts

workers = st.lists(
    st.builds(Occupied, slots=st.integers(1, 200).map(float), taken=st.floats(0, 400)), min_size=1, max_size=12
)


@pytest.mark.parametrize(
    ("taken", "due", "parts"),
    [
        ([0, 0, 0, 0], 16, [4, 4, 4, 4]),
        ([4, 0, 0, 0], 12, [0, 4, 4, 4]),
        ([4, 4, 4, 0], 4, [0, 0, 0, 4]),
        ([8, 8, 0, 0], 6, [0, 0, 3, 3]),
        ([2, 0, 0, 0], 14, [2, 4, 4, 4]),
        ([0, 0, 0], 24, [8, 8, 8]),
        ([8, 8], 4, [2, 2]),
        ([0], 3, [3]),
    ],
)
def test_parts_of_equal_workers(taken: list[float], due: float, parts: list[float]) -> None:
    assert fair_parts([Occupied(8, each) for each in taken], due) == pytest.approx(parts)


def test_parts_follow_the_number_of_slots() -> None:
    assert fair_parts([Occupied(4, 0), Occupied(12, 0)], 8) == pytest.approx([2, 6])


def test_a_worker_without_slots_gets_nothing() -> None:
    assert fair_parts([Occupied(0, 0), Occupied(4, 0)], 3) == pytest.approx([0, 3])


@given(workers, st.floats(0, 1000))
def test_parts_add_up_to_what_is_due_and_leave_all_who_got_some_equally_full(found: list[Occupied], due: float) -> None:
    parts = fair_parts(found, due)
    assert sum(parts) == pytest.approx(due, abs=1e-6)
    filled = [(worker.taken + part) / worker.slots for worker, part in zip(found, parts, strict=True) if part > 1e-6]
    assert not filled or max(filled) == pytest.approx(min(filled), abs=1e-3)
    emptiest = min((worker.taken + part) / worker.slots for worker, part in zip(found, parts, strict=True))
    assert not filled or emptiest >= max(filled) - 1e-3
