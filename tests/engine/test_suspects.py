from __future__ import annotations

from threading import Barrier

import pytest

from tests.support.sessions import OtherSession, in_threads
from timers import conf
from timers.engine.death import watch_others
from timers.engine.nodes import Beat, beat, register
from timers.engine.suspects import Heard, note_suspects
from timers.models import ClusterEvent, Node
from timers.testing import VirtualTime, registration

SETTINGS = conf.load({})
REPORT = Beat(0, 0, 0, 0, {})
NEVER = 10**9
"""Seconds: longer than any server has been up."""


def look(me: int = 0, settled: float = 0) -> float | None:
    return note_suspects(watch_others(me, settled).heard, SETTINGS, me)


def events() -> list[tuple[str, str]]:
    found = ClusterEvent.objects.filter(kind__in=["node suspect", "node recovered"]).order_by("id")
    return list(found.values_list("kind", "node"))


def silent(time: VirtualTime, seconds: float = 3.7) -> Node:
    row = register(registration("node-a", lease=60.0))
    beat(row.id, 60, REPORT)
    time.advance(seconds)
    return row


def test_a_node_is_suspect_when_its_heartbeat_is_missing_for_unusually_long(time: VirtualTime) -> None:
    row = silent(time, 3.5)
    look()
    assert events() == []
    time.advance(0.2)
    look()
    assert events() == [("node suspect", "node-a")]
    row.refresh_from_db()
    assert (row.suspect_since, row.state) == (time.now, "active")
    assert ClusterEvent.objects.get(kind="node suspect").detail == "no heartbeat for 3.7 s: phi 11.9"


def test_it_is_written_once_and_again_only_after_a_recovery(time: VirtualTime) -> None:
    row = silent(time)
    for _ in range(3):
        look()
    assert events() == [("node suspect", "node-a")]
    beat(row.id, 60, REPORT)
    for _ in range(3):
        look()
    assert events() == [("node suspect", "node-a"), ("node recovered", "node-a")]
    row.refresh_from_db()
    assert row.suspect_since is None
    time.advance(30)
    look()
    assert len(events()) == 3


def test_a_node_suspects_others_and_not_itself_but_notices_its_own_recovery(time: VirtualTime) -> None:
    row = silent(time)
    look(me=row.id)
    assert events() == []
    look()
    beat(row.id, 60, REPORT)
    look(me=row.id)
    assert events() == [("node suspect", "node-a"), ("node recovered", "node-a")]


def test_judge_with_more_patience_does_not_take_a_suspect_for_recovered(time: VirtualTime) -> None:
    row = silent(time)
    look()
    patient = conf.load({"TIMERS_HEARTBEAT_PAUSE": "20"})
    note_suspects(watch_others(0, 0).heard, patient, 0)
    assert events() == [("node suspect", "node-a")]
    beat(row.id, 60, REPORT)
    note_suspects(watch_others(0, 0).heard, patient, 0)
    assert events() == [("node suspect", "node-a"), ("node recovered", "node-a")]


def test_nobody_is_suspect_shortly_after_the_server_came_back(time: VirtualTime) -> None:
    silent(time)
    look(settled=NEVER)
    assert events() == []


def test_a_node_that_is_dead_by_its_lease_is_no_suspect_any_more(time: VirtualTime) -> None:
    silent(time, 61)
    assert watch_others(0, 0).heard == []


def test_the_next_look_is_when_the_next_node_may_become_suspect(time: VirtualTime) -> None:
    assert look() is None
    silent(time, 1.0)
    wait = look()
    assert wait is not None
    time.advance(wait - 0.001)
    look()
    assert events() == []
    time.advance(0.002)
    look()
    assert events() == [("node suspect", "node-a")]


def test_a_beat_that_came_since_the_look_clears_the_node(time: VirtualTime) -> None:
    row = silent(time)
    heard = watch_others(0, 0).heard
    beat(row.id, 60, REPORT)
    note_suspects(heard, SETTINGS, 0)
    assert events() == []


def test_a_look_waits_for_nobody_who_is_at_the_row(committed: None, time: VirtualTime) -> None:
    row = silent(time)
    with OtherSession(time.now) as session:
        session.begin()
        session.run(lambda: Node.objects.select_for_update().get(id=row.id))
        look()
        assert events() == []
        session.commit()
    look()
    assert events() == [("node suspect", "node-a")]


def test_of_many_that_notice_at_once_one_writes_it(committed: None, time: VirtualTime) -> None:
    row = silent(time)
    for kind in ("node suspect", "node recovered"):
        heard = watch_others(0, 0).heard
        barrier = Barrier(4)

        def notice(_: int, heard: list[Heard] = heard, barrier: Barrier = barrier) -> None:
            barrier.wait(timeout=10)
            note_suspects(heard, SETTINGS, 0)

        assert in_threads(4, notice) == [None] * 4
        look()
        assert [each for each, _ in events()].count(kind) == 1
        beat(row.id, 60, REPORT)


@pytest.mark.parametrize(
    ("beats", "kept"),
    [([], []), ([2.0, 2.5], [2.0, 2.5]), ([2.0, 10.001], [2.0]), ([0.0, 2.0], [2.0])],
    ids=["none", "each interval", "none longer than the lease", "none of no length"],
)
def test_heartbeats_keep_their_intervals(time: VirtualTime, beats: list[float], kept: list[float]) -> None:
    row = register(registration("node-a"))
    time.advance(0.3)
    beat(row.id, 10, REPORT)
    for seconds in beats:
        time.advance(seconds)
        beat(row.id, 10, REPORT)
    row.refresh_from_db()
    assert row.heartbeat_intervals == pytest.approx(kept)


def test_the_latest_sixty_intervals_are_kept(time: VirtualTime) -> None:
    row = register(registration("node-a"))
    time.advance(0.3)
    beat(row.id, 10, REPORT)
    for number in range(1, 71):
        time.advance(number / 10)
        beat(row.id, 10, REPORT)
    row.refresh_from_db()
    assert row.heartbeat_intervals == pytest.approx([number / 10 for number in range(11, 71)])
