from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.support.plans import reads
from timers import clock
from timers.domain.execution_id import execution_id, try_id
from timers.insights.execution_list import STATES, WAITING, find
from timers.insights.execution_view import ExecutionView
from timers.models import Attempt, Claim, Timer, TimerGroup
from timers.schedules.instant import to_microseconds

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def names(state: str = "history", **conditions: Any) -> list[str]:
    return [row.timer for row in find(state, **conditions).executions]


def all_pages(state: str = "history", **conditions: Any) -> list[UUID]:
    """The row ids of all pages."""
    ids: list[UUID] = []
    before = None
    while True:
        page = find(state, before_id=before, **conditions)
        ids += [row.row_id for row in page.executions]
        before = page.next
        if before is None:
            return ids


@pytest.fixture
def here() -> TimerGroup:
    return factories.group("here")


@pytest.fixture
def there() -> TimerGroup:
    return factories.group("there")


@pytest.fixture
def mine(here: TimerGroup) -> Timer:
    return factories.timer("mine", in_group=here)


@pytest.fixture
def other(there: TimerGroup) -> Timer:
    return factories.timer("other", in_group=there)


def test_history_is_every_row_of_the_ledger_the_newest_occurrence_first(mine: Timer) -> None:
    factories.attempt(mine, ago=30)
    factories.attempt(mine, "error", ago=10, error_title="KeyError: 'x'\nmore", error_fingerprint="f" * 32)

    newest, oldest = find().executions

    assert (newest.outcome, newest.timer, newest.group, newest.error) == ("error", "mine", "here", "KeyError: 'x'")
    assert (newest.fingerprint, newest.node, newest.worker) == ("f" * 32, "node-a", 1)
    assert newest.id != newest.row_id, "the row of one try"
    assert (oldest.state, oldest.id) == ("succeeded", oldest.row_id)
    assert oldest.lateness == pytest.approx(0.012)
    assert oldest.run_time == pytest.approx(0.036)


@pytest.mark.parametrize("state", [word for word in STATES if word not in ("claimed", *WAITING)])
def test_the_ledger_is_asked_by_outcome(mine: Timer, state: str) -> None:
    for number, outcome in enumerate(("succeeded", "skipped", "cancelled", "error", "timeout", "lost", "discarded",
                                      "snoozed", "advanced")):  # fmt: skip
        factories.attempt(mine, outcome, ago=100 + number)

    assert len(names(state)) == (9 if state == "history" else 1)


@pytest.mark.parametrize("state", ["ready", "queued", "failed"])
def test_what_waits_is_asked_by_state(mine: Timer, state: str) -> None:
    for number, each in enumerate(("ready", "queued", "failed")):
        factories.waiting(mine, each, ago=100 + number)

    (row,) = find(state).executions

    assert (row.state, row.timer, row.attempt, row.started_at) == (state, "mine", 3, None)
    assert (row.available_at is None) == (state == "failed")
    assert row.changed_at is not None


def test_what_is_held_tells_who_holds_it(mine: Timer) -> None:
    factories.claim(factories.node("node-a"), mine, 2)
    factories.claim(factories.node("node-b"), mine, 1, worker=2)

    first, second, third = find("claimed").executions

    assert [first.node, second.node, third.node] == ["node-b", "node-a", "node-a"]
    assert (first.state, first.timer, first.worker, first.attempt, first.origin) == (
        "claimed", "mine", 2, 1, "schedule",
    )  # fmt: skip
    assert len(find("claimed", node="node-a").executions) == 2
    assert all_pages("claimed", limit=1) == [first.id, second.id, third.id]


def test_what_a_consumer_holds_is_found_by_its_name(mine: Timer) -> None:
    expires = clock.now() + timedelta(minutes=1)
    claim = factories.claim(factories.node(), mine, node=None, worker=None, consumer="b", expires_at=expires)
    claim.refresh_from_db()

    (row,) = find("claimed", node="consumer b").executions

    assert (row.node, row.worker) == ("consumer b", None)


@pytest.mark.parametrize("state", ["history", "failed", "ready", "claimed"])
def test_what_a_group_or_key_may_not_see_is_not_there(mine: Timer, other: Timer, state: str) -> None:
    node = factories.node()
    for timer in (mine, other):
        factories.attempt(timer)
        factories.waiting(timer)
        factories.waiting(timer, "ready", ago=30)
        factories.claim(node, timer)

    assert len(names(state)) == 2
    assert names(state, groups={"here"}) == ["mine"]
    assert names(state, group="there") == ["other"]
    assert names(state, groups={"here"}, group="there") == []
    assert names(state, groups=set()) == []
    assert names(state, groups={"nowhere"}) == []
    assert names(state, groups={"here"}, timer="other") == []
    assert names(state, timer="other") == ["other"]


def test_a_name_that_was_taken_again_finds_the_runs_of_all_its_timers(here: TimerGroup) -> None:
    for number in range(3):
        timer = factories.timer("again", in_group=here, state="finished", next_fire_at=None)
        for turn in range(4):
            factories.attempt(timer, ago=100 + number + 10 * turn)
    factories.attempt(factories.timer("else", in_group=here), ago=5)

    ids = all_pages(timer="again", limit=5)

    assert len(ids) == len(set(ids)) == 12
    assert ids == sorted(ids, reverse=True)


def test_the_history_of_a_timer_that_is_gone_is_found_by_its_name(mine: Timer) -> None:
    factories.attempt(mine)
    mine.delete()

    assert names(timer="mine", group="here") == ["mine"]


def test_conditions_all_hold(mine: Timer, other: Timer) -> None:
    late = factories.attempt(mine, ago=50, started_at=clock.now() - timedelta(seconds=40))
    factories.attempt(mine, ago=20, node="node-b")
    factories.attempt(other, "error", ago=30, error_title="ValueError: No such Vendor")
    factories.attempt(other, "discarded", ago=31, reason="not yet")

    assert [row.row_id for row in find(min_lateness=5).executions] == [late.pk]
    assert names(node="node-b") == ["mine"]
    assert names(error_contains="no such vendor") == ["other"]
    assert names(error_contains="NOT YET") == ["other"]
    assert names(error_contains="vendor", node="node-b") == []
    assert names("failed", min_lateness=1) == names("claimed", error_contains="x") == []


def test_a_stretch_of_time_is_exact_to_the_microsecond(mine: Timer) -> None:
    row = factories.attempt(mine, ago=50)
    at, step = row.scheduled_for, timedelta(microseconds=1)

    assert names(since=at, until=at + step) == ["mine"]
    assert names(since=at + step) == names(until=at) == []


@pytest.mark.parametrize("limit", [1, 2, 5, 7, 50])
def test_pages_follow_each_other_without_gap_or_repeat(mine: Timer, other: Timer, limit: int) -> None:
    for number in range(7):
        factories.waiting(mine, ago=100 + 2 * number)
        factories.waiting(other, ago=101 + 2 * number)

    for groups in (None, {"here", "there"}):
        ids = all_pages("failed", limit=limit, groups=groups)
        assert len(ids) == len(set(ids)) == 14
        assert ids == sorted(ids, reverse=True)


@pytest.mark.parametrize("looked_at", [3, 4, 10, 40])
def test_what_matches_rarely_comes_in_short_pages_that_leave_nothing_out(
    mine: Timer, other: Timer, looked_at: int
) -> None:
    rare = [factories.attempt(mine, ago=100 + 13 * number, node="rare").pk for number in range(3)]
    for number in range(30):
        factories.attempt(other, ago=100.5 + number)

    assert all_pages(node="rare", limit=2, looked_at=looked_at) == sorted(rare, reverse=True)
    first = find(node="rare", limit=2, looked_at=3)
    assert (len(first.executions), first.next is None) == (1, False)


def test_a_page_is_few_statements_whatever_it_holds(mine: Timer, django_assert_max_num_queries: Any) -> None:
    for number in range(60):
        factories.attempt(mine, ago=100 + number)
    with django_assert_max_num_queries(4):
        find(groups={"here"}, node="node-a")


_MULTIPLIED = """
INSERT INTO {table} SELECT (jsonb_populate_record(
    t, jsonb_build_object('id', gen_random_uuid(), 'timer_id', n, 'group_id', n % 300, 'entry', -n))).*
FROM {table} t, generate_series(1, 3000) AS n
"""


@pytest.fixture
def many(transactional_db: None, mine: Timer, other: Timer) -> Iterator[None]:
    """Rows of many timers and groups, known to the planner.

    They are committed, and truncated afterwards: rows that were rolled back would slow down all tests that follow.
    """
    factories.attempt(mine)
    factories.waiting(other, "failed")
    with connection.cursor() as cursor:
        for table in ("timers_attempt", "timers_waiting"):
            cursor.execute(_MULTIPLIED.format(table=table))
            cursor.execute(f"ANALYZE {table}")
        yield
        cursor.execute("TRUNCATE timers_attempt")


@pytest.mark.parametrize(
    ("state", "conditions", "index"),
    [
        ("history", {}, "pkey"),
        ("history", {"node": "node-a"}, "pkey"),
        ("history", {"group": "here", "timer": "mine"}, "timer_id_id"),
        ("failed", {"group": "here"}, "timers_waiting_failed_group"),
        ("failed", {"groups": {"here", "there"}, "error_contains": "x"}, "timers_waiting_failed_group"),
        ("ready", {"node": None}, "timers_waiting"),
    ],
)
@pytest.mark.usefixtures("many")
def test_every_walk_is_served_by_an_index(state: str, conditions: dict[str, Any], index: str) -> None:
    with CaptureQueriesContext(connection) as asked:
        find(state, **conditions)
    walk, *_ = [query["sql"] for query in asked if "WITH looked" in query["sql"]]

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {walk}")
        plan = " ".join(line for (line,) in cursor.fetchall())

    assert "Seq Scan on timers" not in plan
    assert index in plan


@pytest.mark.parametrize(
    ("state", "conditions", "table"),
    [("history", {}, "attempt"), ("history", {"group": "here", "timer": "mine"}, "attempt"), ("failed", {}, "waiting")],
)
@pytest.mark.usefixtures("many")
def test_a_page_far_back_reads_no_more_than_the_first(state: str, conditions: dict[str, Any], table: str) -> None:
    limit, read = 20, []
    with connection.cursor() as cursor:
        of_one = "FROM timers_timer t WHERE t.name = 'mine'"
        cursor.execute(f"UPDATE timers_{table} SET timer_id = t.id, group_id = t.group_id {of_one}")
        cursor.execute(f"ANALYZE timers_{table}")
        cursor.execute(f"SELECT id FROM timers_{table} ORDER BY id OFFSET 100 LIMIT 1")
        (far,) = cursor.fetchone()
    for before in (None, far):
        with CaptureQueriesContext(connection) as asked:
            assert len(find(state, before_id=before, limit=limit, looked_at=limit, **conditions).executions) == limit
        (walk, *_) = [query["sql"] for query in asked if "WITH looked" in query["sql"]]
        read.append(sum(each.rows for each in reads(walk) if each.table.startswith(f"timers_{table}")))
    assert read == [limit + 1] * 2


def tried(timer: Timer, outcomes: list[str], *, ago: float = 60) -> UUID:
    """An execution with rows of these outcomes, in the order of its tries; returns its id."""
    for number, outcome in enumerate(outcomes, 1):
        factories.attempt(timer, outcome, number=number, attempt=number, id=row_id(ago, number, outcome, timer))
    return UUID(execution_at(ago, timer))


def row_id(ago: float, number: int, outcome: str, timer: Timer) -> str:
    execution = execution_at(ago, timer)
    return execution if outcome in Attempt.FINAL else try_id(execution, number)


def execution_at(ago: float, timer: Timer) -> str:
    return execution_id(to_microseconds(NOW) - round(ago * 1_000_000), timer.id)


def listed(rows: list[ExecutionView]) -> list[tuple[str, int]]:
    return [(row.outcome, row.attempt) for row in rows]


def test_the_tries_of_an_execution_are_listed_with_the_latest_first(mine: Timer) -> None:
    tried(mine, ["error", "timeout", "succeeded"], ago=20)
    tried(mine, ["discarded"], ago=10)

    assert listed(find().executions) == [("discarded", 1), ("succeeded", 3), ("timeout", 2), ("error", 1)]


@pytest.mark.parametrize("looked_at", [1, 2, 3, 7, 20_000])
def test_pages_of_any_size_show_each_row_once_and_in_order(mine: Timer, looked_at: int) -> None:
    tried(mine, ["error", "error", "error", "succeeded"], ago=40)
    tried(mine, ["error", "error"], ago=30)
    tried(mine, ["succeeded"], ago=20)
    tried(mine, ["error", "cancelled"], ago=10)
    whole = [row.row_id for row in find().executions]

    assert len(whole) == 9
    for limit in range(1, 11):
        assert all_pages(limit=limit, looked_at=looked_at) == whole


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_of_one_outcome_miss_no_final_row(mine: Timer, limit: int) -> None:
    executions = [tried(mine, ["error", "error", "succeeded"], ago=10 * number) for number in range(1, 5)]

    assert all_pages("succeeded", limit=limit, looked_at=2) == executions
    assert len(all_pages("error", limit=limit, looked_at=2)) == 8


@pytest.mark.parametrize("state", ["ready", "queued", "failed"])
def test_a_try_of_an_execution_that_waits_tells_so(mine: Timer, state: str) -> None:
    factories.waiting(mine, state, id=tried(mine, ["discarded"]))

    (row,) = find().executions

    assert (row.state, row.outcome) == (state, "discarded")
    assert [row.outcome for row in find("discarded").executions] == ["discarded"]


def test_a_try_of_an_execution_that_runs_again_or_has_ended_tells_so(mine: Timer) -> None:
    held = tried(mine, ["error"], ago=20)
    factories.claim(factories.node(), mine, 0)
    Claim.objects.update(executions=[held])
    tried(mine, ["error", "succeeded"], ago=30)

    assert [row.state for row in find().executions] == ["claimed", "succeeded", "succeeded"]
