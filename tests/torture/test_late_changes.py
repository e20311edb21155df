"""Changes just before the begin: after an answer that names nothing in flight, nothing of the old instant begins."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.cluster.field import Field, eventually, timer_of
from tests.cluster.late_changes import VERBS, begun_after_the_answer, races_of
from tests.support.profile import IS_LONG

pytestmark = [pytest.mark.torture, pytest.mark.django_db(transaction=True)]

RACES = 10_000 if IS_LONG else 1600
THREADS = 16


@pytest.mark.parametrize("notify", [True, False], ids=["with NOTIFY", "by polling"])
def test_nothing_begins_after_a_change_that_names_nothing_in_flight(field: Field, notify: bool) -> None:
    field.settings["TIMERS_NOTIFY"] = str(notify)
    field.start("a", "--workers", "2")
    field.start("b", "--workers", "1")
    races = races_of(field, THREADS, RACES)
    done = [race for race in races if not race.refused]
    eventually(lambda: field.value("SELECT count(*) FROM timers_timer WHERE state = 'active'") == 0, within=60)
    eventually(lambda: field.value("SELECT count(*) FROM timers_claim") == 0)

    assert len(races) == RACES // THREADS * THREADS
    assert begun_after_the_answer(races, field.calls()) == []
    calls = Counter(timer_of(call.execution) for call in field.calls())
    in_time = [race for race in done if not race.in_flight and race.acknowledged * 1_000_000 < race.due_us]
    assert {race.verb for race in in_time} == set(VERBS), "changes of every kind came in time"
    moved = {race.timer for race in in_time if race.verb == "update"}
    assert {calls[timer] for timer in moved} == {1}, "each fires once, at its new instant"
    ended = {race.timer for race in in_time if race.verb != "update"}
    assert not ended & calls.keys(), "paused, cancelled and left out: none runs"
