"""Ready executions of groups that limit by key: found whatever stands before them, under the keys of their timers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.plans import reads
from tests.support.sessions import OtherSession
from timers.consuming import claim
from timers.control.backfill import backfill_timer
from timers.engine import keyed_due
from timers.handlers import Fire, Retry
from timers.models import Timer, TimerGroup, Waiting
from timers.scheduling import (
    cancel_timer,
    fire_timer,
    schedule_cron,
    schedule_fixed_rate,
    schedule_once,
    update_group,
    update_timer,
)
from timers.testing import Stepper, VirtualTime

MOST_ROWS = 5_000
"""Rows that one look may read, of 100,000."""


@pytest.fixture
def tenants(group: TimerGroup) -> TimerGroup:
    """A group in which each tenant has two executions at once."""
    return update_group("work", concurrency_key="payload.tenant", max_concurrency_per_key=2, overlap_policy="allow")


def ready(name: str, group: TimerGroup, *, ago: float, key: str | None = "", **fields: Any) -> Waiting:
    """A ready execution of a timer of its own; `key`: its own, None: it was written without one."""
    timer = factories.timer(name, in_group=group, limit_key=name, payload={"tenant": name}, state="finished")
    return factories.waiting(timer, "ready", ago=ago, attempt=0, limit_key=name if key == "" else key, **fields)


def huge_backlog(group: TimerGroup, number: int, time: VirtualTime) -> None:
    """Ready executions of one key, from a minute ago and more."""
    timer = factories.timer("huge", in_group=group, limit_key="huge", payload={"tenant": "huge"}, state="finished")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO timers_waiting (id, group_id, timer_id, name, state, available_at, attempt, forgiven,"
            " missed_count, origin, reason, error_title, created_at, changed_at, limit_key)"
            " SELECT ('01a00000-0000-8000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, %(group)s, %(timer)s, 'huge',"
            " 'ready', %(now)s - n * interval '1 second', 0, 0, 0, 'manual', '', '', %(now)s, %(now)s, 'huge'"
            " FROM generate_series(60, 59 + %(number)s) n",
            {"group": group.id, "timer": timer.id, "now": time.now, "number": number},
        )
        cursor.execute("ANALYZE timers_waiting, timers_timer")


def read_rows(call: Callable[[], object]) -> int:
    """How many rows of waiting and of timers the look of a call reads."""
    with CaptureQueriesContext(connection) as captured:
        call()
    looks = [
        query["sql"] for query in captured.captured_queries if query["sql"].lstrip().startswith(("SELECT", "WITH"))
    ]
    tables = ("timers_waiting", "timers_timer")
    return sum(each.rows for sql in looks if "timers_waiting" in sql for each in reads(sql) if each.table in tables)


def test_a_hundred_thousand_of_a_full_key_neither_hide_others_nor_are_read(
    tenants: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    huge_backlog(tenants, 100_000, time)
    ready("small", tenants, ago=5)
    ready("tiny", tenants, ago=4)
    assert [execution.name for execution in node.claim(limit=2)] == ["huge", "huge"]
    assert {execution.name for execution in node.claim(limit=10)} == {"small", "tiny"}
    assert node.claim(limit=100) == []
    assert read_rows(lambda: node.claim(limit=100)) < MOST_ROWS
    ready("late", tenants, ago=1)
    known = next(iter(node._groups.known))
    known.key_walks.clear()
    assert read_rows(lambda: node.claim(limit=100)) < MOST_ROWS
    assert "late" in {execution.name for execution in node.held}
    node.run()
    node.finish()
    assert [execution.name for execution in node.claim(limit=10)] == ["huge", "huge"]


def test_consumers_find_keys_with_room_behind_a_full_one(time: VirtualTime) -> None:
    group = factories.group(
        "jobs", action={"kind": "pull"}, concurrency_key="payload.tenant", max_concurrency_per_key=1
    )
    huge_backlog(group, 2_000, time)
    ready("small", group, ago=5)
    assert [message.envelope["Name"] for message in claim("jobs", "a", limit=1)] == ["huge"]
    assert [message.envelope["Name"] for message in claim("jobs", "a", limit=5)] == ["small"]


def test_the_oldest_come_first_over_all_keys(
    tenants: TimerGroup, node: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyed_due, "WINDOW", 2)
    for ago, name in ((10, "a"), (30, "b"), (20, "c")):
        ready(name, tenants, ago=ago)
    assert [execution.name for execution in node.claim(limit=2)] == ["b", "c"]


@pytest.mark.parametrize("key", [None, "huge"])
def test_executions_without_their_key_are_found_too(
    tenants: TimerGroup, node: Stepper, time: VirtualTime, key: str | None
) -> None:
    huge_backlog(tenants, 20 if key else 2_000, time)
    ready("small", tenants, ago=5, key=key)
    came = [execution.name for _ in range(4) for execution in node.claim(limit=100)]
    assert came == ["huge", "huge", "small"]


def test_what_is_seen_without_its_key_gets_it(tenants: TimerGroup, node: Stepper) -> None:
    for number in range(3):
        ready(f"a-{number}", tenants, ago=10 - number, key=None)
    Timer.objects.update(limit_key="a")
    assert len(node.claim()) == 2
    assert Waiting.objects.get().limit_key == "a"


def test_executions_of_cancelled_timers_end_whatever_their_key(tenants: TimerGroup, node: Stepper) -> None:
    for number in range(30):
        ready(f"gone-{number}", tenants, ago=100 - number)
    Timer.objects.update(state="cancelled", limit_key="a")
    ready("a", tenants, ago=1)
    assert [execution.name for execution in node.claim(limit=1)] == ["a"]
    assert not Waiting.objects.exists()


@pytest.mark.parametrize("limits", [{"max_concurrency": 1}, {"max_rate": "1/s"}])
def test_executions_of_cancelled_timers_use_up_no_limit(
    group: TimerGroup, node: Stepper, limits: dict[str, Any]
) -> None:
    update_group("work", **limits)
    for number in range(300):
        ready(f"gone-{number}", group, ago=400 - number, key=None)
    Timer.objects.update(state="cancelled")
    ready("live", group, ago=1, key=None)
    assert [execution.name for execution in node.claim(limit=5)] == ["live"]
    assert not Waiting.objects.exists()


def test_what_is_not_in_its_turn_uses_up_no_limit(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    update_group("work", max_concurrency=1)
    schedule_fixed_rate("work", "rate", period=60)
    fire_timer("work", "rate")
    (open_,) = node.claim()
    factories.waiting(Timer.objects.get(), "ready", ago=100, attempt=0, origin="manual")
    ready("free", group, ago=1, key=None)
    update_group("work", max_concurrency=2)
    assert [execution.name for execution in node.claim(limit=5)] == ["free"]
    assert open_.name == "rate"


def keys() -> dict[str, str | None]:
    return dict(Waiting.objects.values_list("name", "limit_key"))


def test_retries_runs_and_backfills_have_the_keys_of_their_timers(
    tenants: TimerGroup, node: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    def again(_: Fire) -> None:
        raise Retry("later", after=60)

    handlers.add("tests.noop", again)
    schedule_once("work", "retried", after=0, payload={"tenant": "a"})
    schedule_once("work", "given back", after=0, payload={"tenant": "b"})
    assert len(node.claim()) == 2
    node.held, given_back = node.held[:1], node.held[1:]
    node.run()
    node.finish()
    node.held = given_back
    node.release()
    schedule_once("work", "run", after=60, payload={"tenant": "c"})
    fire_timer("work", "run")
    schedule_cron("work", "filled", expression="* * * * *", payload={"tenant": "d"})
    backfill_timer("work", "filled", start=time.now - timedelta(seconds=60), end=time.now)
    assert keys() == {"retried": "a", "given back": "b", "run": "c", "filled": "d"}


def test_waiting_keys_follow_edits_replacements_and_the_group(tenants: TimerGroup, node: Stepper) -> None:
    schedule_once("work", "one", after=60, payload={"tenant": "a", "user": "u"})
    fire_timer("work", "one")
    assert keys() == {"one": "a"}
    update_timer("work", "one", payload={"tenant": "b", "user": "u"})
    assert keys() == {"one": "b"}
    schedule_once("work", "one", after=90, payload={"tenant": "c", "user": "u"}, on_conflict="replace")
    assert keys() == {"one": "c"}
    update_group("work", concurrency_key="payload.user")
    assert keys() == {"one": "u"}
    update_group("work", max_concurrency_per_key=None)
    assert keys() == {"one": None}


@pytest.mark.parametrize("limits", [{"max_concurrency_per_key": 1}, {"max_rate_per_key": "1/s"}])
def test_retries_of_what_was_claimed_before_the_limit_have_keys(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers, limits: dict[str, Any]
) -> None:
    def again(_: Fire) -> None:
        raise Retry("later", after=60)

    handlers.add("tests.noop", again)
    schedule_once("work", "one", after=0, payload={"tenant": "a"})
    node.claim()
    update_group("work", concurrency_key="payload.tenant", **limits)
    node.run()
    node.finish()
    assert keys() == {"one": "a"}


def test_groups_without_limits_keep_no_keys(group: TimerGroup, node: Stepper) -> None:
    schedule_once("work", "one", after=60, payload={"tenant": "a"}, concurrency_key="b")
    fire_timer("work", "one")
    assert keys() == {"one": None}
    node.claim()
    node.release()
    assert keys() == {"one": None}


@pytest.mark.usefixtures("committed")
def test_a_look_waits_for_nobody_who_has_an_execution_without_its_key(
    tenants: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    ready("a", tenants, ago=10, key=None)
    ready("b", tenants, ago=5, key=None)
    with OtherSession(time.now) as session:
        session.begin()
        session.run(lambda: list(Waiting.objects.filter(name="a").select_for_update()))
        assert [execution.name for execution in node.claim()] == ["b"]
        session.rollback()
    assert [execution.name for execution in node.claim()] == ["a"]
    cancel_timer("work", "a")


def test_strays_are_looked_for_seldom(tenants: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    huge_backlog(tenants, 2_000, time)
    node.claim()
    for _ in range(3):
        node.claim()
        next(iter(node._groups.known)).key_walks.clear()
    with CaptureQueriesContext(connection) as captured:
        node.claim()
    statements = [query["sql"] for query in captured.captured_queries]
    assert not any("w.limit_key IS NULL" in sql for sql in statements)
    assert keyed_due.STRAYS_SECONDS > 1
