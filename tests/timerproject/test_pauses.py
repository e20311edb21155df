from __future__ import annotations

from timerproject.pauses import LONGEST_WAIT, SETTLED_AFTER, Pauses


def test_who_dies_again_and_again_is_waited_for_longer_and_longer() -> None:
    pauses = Pauses()
    pauses.started(100)
    assert [pauses.next(100) for _ in range(6)] == [1, 2, 4, 8, 16, LONGEST_WAIT]


def test_after_a_long_life_a_death_is_the_first_again() -> None:
    pauses = Pauses()
    pauses.started(100)
    pauses.next(100)
    assert pauses.next(101) == 2
    pauses.started(200)
    assert pauses.next(200 + SETTLED_AFTER + 1) == 1
