from __future__ import annotations

from timers.worker.per_target_limit import Lanes


def begun(lanes: Lanes[str]) -> list[str]:
    entries = []
    while (found := lanes.begin()) is not None:
        entries.append(found[0])
    return entries


def test_a_full_lane_lets_what_comes_behind_it_pass() -> None:
    lanes: Lanes[str] = Lanes(2)
    lanes.put([("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("x", None), ("a4", "a"), ("b2", "b")])

    assert begun(lanes) == ["a1", "a2", "b1", "x", "b2"]
    assert len(lanes) == 2
    lanes.end("a")
    assert begun(lanes) == ["a3"]
    lanes.end("a")
    lanes.end("b")
    assert begun(lanes) == ["a4"]
    assert len(lanes) == 0


def test_what_is_in_no_lane_has_no_cap() -> None:
    lanes: Lanes[int] = Lanes(1)
    lanes.put([(number, None) for number in range(5)])

    assert [lanes.begin() for _ in range(6)] == [(0, None), (1, None), (2, None), (3, None), (4, None), None]
    lanes.end(None)


def test_what_has_not_begun_can_be_taken_out_wherever_it_is() -> None:
    lanes: Lanes[str] = Lanes(1)
    lanes.put([("a1", "a"), ("a2", "a"), ("a3", "a")])
    assert begun(lanes) == ["a1"]
    lanes.put([("b1", "b"), ("x", None)])

    assert lanes.take(lambda entry: entry in {"a2", "x", "gone"}) == ["x", "a2"]
    lanes.end("a")
    assert begun(lanes) == ["a3", "b1"]
    assert lanes.take(lambda _: True) == []


def test_a_lane_that_was_emptied_begins_anew() -> None:
    lanes: Lanes[str] = Lanes(1)
    lanes.put([("a1", "a"), ("a2", "a")])
    begun(lanes)
    lanes.take(lambda _: True)
    lanes.end("a")
    lanes.put([("a3", "a")])

    assert begun(lanes) == ["a3"]
