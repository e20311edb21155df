from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, words_of
from tests.support.sessions import OtherSession, in_threads
from timers.engine.wakeup import WAKE_CHANNEL
from timers.exceptions import InvalidRequest, TimerExists
from timers.models import Timer, TimerGroup
from timers.scheduling import (
    cancel_timer,
    pause_timer,
    schedule_cron,
    schedule_fixed_rate,
    schedule_many,
    schedule_once,
)
from timers.testing import START, Stepper, VirtualTime


def test_everything_that_was_asked_for_is_kept(group: TimerGroup, handlers: TemporaryHandlers) -> None:
    handlers.add("tests.other")
    timer = schedule_cron(
        "work",
        "Bücher, \"täglich\" \\ {1,2} NULL 'x'",
        expression="30 2 * * *",
        time_zone="Europe/Berlin",
        payload={"z": 1, "a": [2**70, 1.5, None, "☃ \" \\ '"]},
        handler="tests.other",
        start_at=START + timedelta(days=1),
        end_at="2028-01-01T00:00:00+01:00",
        max_fires=5,
        until_committed=False,
        overrides={"retry": {"max_retries": 1}, "misfire_grace": 5},
        tags=["a b", 'quo"te', "back\\slash", "{,}"],
        description="two\nlines",
        actor="alice",
    )
    timer = Timer.objects.get(id=timer.id)
    assert timer.name == "Bücher, \"täglich\" \\ {1,2} NULL 'x'"
    assert timer.schedule == {"expression": "30 2 * * *"}
    assert (timer.schedule_kind, timer.time_zone) == ("cron", "Europe/Berlin")
    assert timer.payload == {"z": 1, "a": [2**70, 1.5, None, "☃ \" \\ '"]}
    assert list(timer.payload) == ["z", "a"]
    assert timer.action == {"kind": "python", "handler": "tests.other"}
    assert timer.start_at == START + timedelta(days=1)
    assert timer.end_at is not None
    assert timer.end_at.isoformat() == "2027-12-31T23:00:00+00:00"
    assert (timer.max_fires, timer.until_committed) == (5, False)
    assert timer.overrides == {"retry": {"max_retries": 1}, "misfire_grace": 5}
    assert timer.tags == ["a b", 'quo"te', "back\\slash", "{,}"]
    assert timer.description == "two\nlines"
    assert (timer.created_at, timer.created_by, timer.updated_by, timer.version) == (START, "alice", "alice", 1)
    assert timer.next_fire_at is not None
    assert timer.next_fire_at.isoformat() == "2027-03-03T01:30:00+00:00"


@pytest.mark.parametrize("payload", [None, "NULL", "", [], {}, 0, False, "null"])
def test_a_payload_comes_back_unchanged(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers, payload: Any
) -> None:
    timer = schedule_once("work", "once", after=1, payload=payload)
    assert Timer.objects.get(id=timer.id).payload == payload
    node.time.advance(1)
    node.until_idle()
    assert [fire.payload for fire in handlers.calls] == [payload]


def test_a_rolled_back_transaction_leaves_no_timer(committed: None, group: TimerGroup) -> None:
    def both() -> None:
        with transaction.atomic():
            schedule_once("work", "once", after=1)
            schedule_fixed_rate("work", "rate", period=1)
            raise RuntimeError("second thoughts")

    with pytest.raises(RuntimeError):
        both()
    assert not Timer.objects.exists()


def test_nobody_sees_a_timer_before_its_transaction_commits(
    committed: None, group: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    time.advance(10)
    with OtherSession(START) as session:
        session.begin()
        session.run(lambda: schedule_once("work", "once", after=1))
        assert node.claim() == []
        session.commit()
    assert len(node.claim()) == 1


def test_a_taken_name_is_refused_by_name_and_nothing_changes(group: TimerGroup) -> None:
    timer = schedule_fixed_rate("work", "taken", period=10, payload=1)
    with pytest.raises(TimerExists, match=r"name: is taken in group work.*'taken'"):
        schedule_fixed_rate("work", "taken", period=20, payload=2)
    (found,) = Timer.objects.all()
    assert (found.id, found.payload, found.version) == (timer.id, 1, 1)


def test_keep_leaves_the_living_timer_as_it_is(group: TimerGroup) -> None:
    timer = schedule_fixed_rate("work", "taken", period=10, payload=1)
    kept = schedule_fixed_rate("work", "taken", period=20, payload=2, on_conflict="keep")
    assert (kept.id, kept.payload, kept.version, kept.schedule["period"]) == (timer.id, 1, 1, 10)


def test_replace_takes_over_the_row_with_everything_new(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_fixed_rate("work", "taken", period=10, payload=1, max_fires=5, tags=["old"])
    node.play(seconds=20, every=10)
    pause_timer("work", "taken", reason="tea")
    new = schedule_once("work", "taken", after=50, payload=2, on_conflict="replace", actor="bob")
    assert (new.id, new.state, new.state_reason, new.payload, new.schedule_kind) == (timer.id, "active", "", 2, "once")
    assert (new.max_fires, new.tags, new.fire_count, new.version, new.updated_by) == (None, [], 0, 3, "bob")
    assert new.next_fire_at == START + timedelta(seconds=70)
    node.play(seconds=100, every=10)
    assert words_of(timer) == ["succeeded"] * 3


def test_a_replaced_timer_never_fires_an_instant_again(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_fixed_rate("work", "rate", period=10, start_at=START)
    node.play(seconds=25, every=5)
    node.time.set(START + timedelta(seconds=15))
    schedule_fixed_rate("work", "rate", period=5, start_at=START, on_conflict="replace")
    node.play(seconds=25, every=5)
    instants = [row.scheduled_for for row in finals_of(timer)]
    assert len(instants) == len(set(instants)) == len(finals_of(timer))
    assert instants == sorted(instants)


def test_a_timer_that_is_replaced_after_it_was_claimed_ahead_goes_on_with_the_next_instant(
    group: TimerGroup, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    node = Stepper(time, look_ahead=2)
    options: dict[str, Any] = {"period": 10, "start_at": START + timedelta(seconds=10)}
    timer = schedule_fixed_rate("work", "rate", **options)
    node.time.advance(9)
    node.claim()
    schedule_fixed_rate("work", "rate", **options, on_conflict="replace")
    node.play(seconds=11, every=1)
    assert [(row.scheduled_for - START).total_seconds() for row in finals_of(timer)] == [10, 20]
    assert len(handlers.calls) == 2


@pytest.mark.parametrize("on_conflict", ["reject", "replace", "keep"])
def test_the_name_of_an_ended_timer_is_free(group: TimerGroup, node: Stepper, on_conflict: str) -> None:
    first = schedule_once("work", "again", after=1)
    node.time.advance(1)
    node.until_idle()
    second = schedule_once("work", "again", after=1, on_conflict=on_conflict)
    cancel_timer("work", "again")
    third = schedule_once("work", "again", after=1, on_conflict=on_conflict)
    assert len({first.id, second.id, third.id}) == 3
    node.time.advance(1)
    node.until_idle()
    assert [words_of(timer) for timer in (first, second, third)] == [["succeeded"], [], ["succeeded"]]


@pytest.mark.parametrize(
    ("on_conflict", "answers"), [("reject", {"created": 1, "refused": 7}), ("keep", {"kept": 8}), ("replace", None)]
)
def test_eight_threads_that_want_one_name_make_one_timer(
    committed: None, group: TimerGroup, on_conflict: str, answers: dict[str, int] | None
) -> None:
    def create(number: int) -> str:
        timer = schedule_once("work", "wanted", after=100, payload=number, on_conflict=on_conflict)
        return "created" if timer.payload == number and timer.version == 1 and on_conflict == "reject" else "kept"

    got = Counter("refused" if isinstance(answer, TimerExists) else answer for answer in in_threads(8, create))
    timer = Timer.objects.get()
    if answers is None:
        assert timer.version == 8
        assert got == {"kept": 8}
    else:
        assert got == answers
        assert timer.version == 1


def test_many_are_created_by_one_statement_whatever_their_number(group: TimerGroup) -> None:
    def statements(number: int) -> int:
        requests = [
            {"kind": "fixed_rate", "group": "work", "name": f"{number}-{index}", "period": 3600}
            for index in range(number)
        ]
        with CaptureQueriesContext(connection) as queries:
            created = schedule_many(requests)
        assert [(row.name, row.result) for row in created] == [(f"{number}-{i}", "created") for i in range(number)]
        return len(queries)

    assert statements(2) == statements(500)


def test_many_are_created_all_or_none_and_all_mistakes_are_told(group: TimerGroup) -> None:
    requests: list[dict[str, Any]] = [
        {"kind": "fixed_rate", "group": "work", "name": "good", "period": 10},
        {"kind": "fixed_rate", "group": "work", "name": "", "period": 0},
        {"kind": "lunar", "group": "work", "name": "moon"},
        {"kind": "once", "group": "work", "name": "typo", "after": 1, "payloda": 1},
    ]
    with pytest.raises(InvalidRequest) as refused:
        schedule_many(requests)
    assert {problem.field for problem in refused.value.problems} == {"1.name", "1.period", "2.kind", "3.payloda"}
    assert not Timer.objects.exists()


def test_a_name_that_is_taken_by_one_of_many_refuses_them_all(group: TimerGroup) -> None:
    schedule_once("work", "b", after=1)
    requests = [{"kind": "once", "group": "work", "name": name, "after": 1} for name in ("a", "b", "c")]
    with pytest.raises(TimerExists):
        schedule_many(requests)
    assert list(Timer.objects.values_list("name", flat=True)) == ["b"]
    results = schedule_many(requests, on_conflict="keep")
    assert [(row.name, row.result) for row in results] == [("a", "created"), ("b", "kept"), ("c", "created")]
    with pytest.raises(InvalidRequest, match="comes twice"):
        schedule_many([requests[0], requests[0]], on_conflict="replace")
    assert schedule_many([]) == []


def test_two_bulk_calls_that_replace_the_same_timers_in_opposite_order_do_not_deadlock(
    committed: None, group: TimerGroup
) -> None:
    names = [f"{number:03}" for number in range(300)]

    def create(number: int) -> int:
        order = names if number % 2 else names[::-1]
        requests = [{"kind": "fixed_rate", "group": "work", "name": name, "period": 100} for name in order]
        return len(schedule_many(requests, on_conflict="replace"))

    assert in_threads(4, create) == [300] * 4
    assert Timer.objects.count() == 300


def test_workers_are_woken_only_for_what_is_due_within_their_look_ahead(committed: None, group: TimerGroup) -> None:
    with OtherSession() as session:

        def listen() -> None:
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {WAKE_CHANNEL}")

        def heard() -> int:
            # A round trip: what was sent before it has arrived with it.
            return len(list(connection.connection.notifies(timeout=0.05)))

        session.run(listen)
        schedule_once("work", "far", after=1.6)
        assert session.run(heard) == 0
        schedule_once("work", "near", after=1.4)
        assert session.run(heard) == 1


def test_a_group_of_several_partitions_gets_its_timers_spread_over_its_shards(time: VirtualTime) -> None:
    factories.group("work", shards=4, action={"handler": "timerbench.noop"})
    schedule_many([{"kind": "once", "group": "work", "name": f"{number}", "after": 10} for number in range(400)])
    shares = Counter(Timer.objects.values_list("shard", flat=True))
    assert sorted(shares) == [0, 1, 2, 3]
    assert min(shares.values()) > 70
