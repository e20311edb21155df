"""Limits per key: at most so many executions of one tenant, and no tenant hides the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from time import monotonic
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.support.sessions import in_threads
from tests.worker.claiming import Bench
from timers.consuming import claim
from timers.domain.limit_keys import NO_KEY
from timers.engine import keyed_due as keyed_due_module
from timers.engine.execution import Execution, KeyWalk
from timers.models import Claim, RateState, Timer, TimerGroup, Waiting
from timers.scheduling import (
    create_group,
    fire_timer,
    schedule_fixed_rate,
    schedule_many,
    schedule_once,
    update_group,
    update_timer,
)
from timers.testing import Stepper, VirtualTime


@pytest.fixture
def tenants(group: TimerGroup) -> TimerGroup:
    """A group in which each tenant has two executions at once."""
    return update_group("work", concurrency_key="payload.tenant", max_concurrency_per_key=2)


def due_timers(time: VirtualTime, *tenants: tuple[str, int], group: str = "work") -> None:
    """One-shots of tenants that are due, those of the first tenant first."""
    for place, (tenant, number) in enumerate(tenants):
        schedule_many([
            {"kind": "once", "group": group, "name": f"{tenant}-{n}", "after": 1 + place, "payload": {"tenant": tenant}}
            for n in range(number)
        ])  # fmt: skip
    time.advance(len(tenants) + 1)


def by_tenant(executions: Sequence[Execution]) -> dict[str, int]:
    return dict(Counter(execution.payload["tenant"] for execution in executions))


def claim_all(node: Stepper) -> list[Execution]:
    came: list[Execution] = []
    while more := node.claim():
        came += more
    return came


def test_each_key_has_so_many_at_once(tenants: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    due_timers(time, ("a", 5), ("b", 1), ("c", 3))
    assert by_tenant(claim_all(node)) == {"a": 2, "b": 1, "c": 2}
    assert Stepper(time).claim() == []
    node.run()
    node.finish()
    assert by_tenant(claim_all(node)) == {"a": 2, "c": 1}


def test_a_claim_holds_executions_of_one_key(tenants: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    due_timers(time, ("a", 5), ("b", 1))
    claim_all(node)
    assert sorted((each.limit_key, len(each.executions)) for each in Claim.objects.all()) == [("a", 2), ("b", 1)]


def test_claims_of_many_keys_are_one_statement(tenants: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    due_timers(time, *((f"tenant-{number}", 2) for number in range(30)))
    with CaptureQueriesContext(connection) as captured:
        came = node.claim()
    assert len(came) == 60
    assert sum("INSERT INTO timers_claim" in query["sql"] for query in captured.captured_queries) == 1
    for row in Claim.objects.all():
        held = {execution.id for execution in came if execution.fence == row.id}
        assert held == {str(each) for each in row.executions}
        assert {execution.limit_key for execution in came if execution.fence == row.id} == {row.limit_key}


def test_claims_by_key_keep_what_is_not_plain(tenants: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    due_timers(time, ("a", 1), ("b", 1))
    fire_timer("work", "a-0", payload={"tenant": 'by hand "quoted" \\'}, overlap="allow")
    came = claim_all(node)
    details = [row.details for row in Claim.objects.order_by("limit_key")]
    assert details[0] is not None, "the manual run has a payload of its own"
    assert details[1] is None
    assert len(came) == 3


def test_the_earliest_come_first_whatever_their_key(tenants: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    due_timers(time, ("b", 2), ("a", 2), ("c", 2))
    assert [execution.payload["tenant"] for execution in node.claim(limit=3)] == ["b", "b", "a"]


def test_a_long_backlog_of_a_full_key_hides_no_other(
    tenants: TimerGroup, node: Stepper, time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyed_due_module, "WINDOW", 20)
    due_timers(time, ("huge", 300), ("small", 1))
    bench = Bench(node)
    names: list[str] = []
    for _ in range(4):
        bench.step()
        names = [execution.name for execution in bench.held]
    assert names.count("small-0") == 1
    assert len(names) == 3


def test_of_very_many_keys_each_comes_in_turn(
    tenants: TimerGroup, node: Stepper, time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyed_due_module, "WINDOW", 3)
    monkeypatch.setattr(keyed_due_module, "KEYS", 5)
    monkeypatch.setattr(keyed_due_module, "_OF_KEYS", keyed_due_module._OF_KEYS.replace("LIMIT 1000", "LIMIT 5"))
    for number in range(23):
        due_timers(time, (f"tenant-{number:02}", 30))
    bench = Bench(node)
    for _ in range(200):
        if len(bench.held) == 46:
            break
        bench.step()
    assert by_tenant(bench.held) == {f"tenant-{number:02}": 2 for number in range(23)}
    assert bench.step().total() == 0
    for _ in range(10):
        bench.step()
    (known,) = bench.claimer._groups.known
    assert known.key_walks[0, 0].rests_until > 0, "it does not go round and round while all keys are full"


def test_a_look_comes_when_the_walk_through_the_keys_has_rested(
    tenants: TimerGroup, node: Stepper, time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyed_due_module, "WINDOW", 3)
    update_group("work", max_batch=3)
    due_timers(time, ("huge", 30))
    bench = Bench(node)
    for _ in range(6):
        bench.step()
    assert len(bench.held) == 2
    (known,) = bench.claimer._groups.known
    bench.claimer._next_look._instants.clear()
    known.key_walks[0, 0] = KeyWalk(0, rests_until=monotonic() + 0.4)
    assert 0.2 < bench.claimer.step() <= 0.4


@pytest.mark.parametrize("window", [500, 3])
def test_timers_whose_handlers_are_unknown_hide_no_others(
    tenants: TimerGroup, node: Stepper, time: VirtualTime, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr(keyed_due_module, "WINDOW", window)
    for number in range(30):
        action = {"handler": "tests.elsewhere"}
        factories.timer(f"unknown-{number}", in_group=tenants, due_in=0, limit_key="a", action=action)
    due_timers(time, ("a", 1), ("b", 1))
    came = [*node.claim(3, ["tests.elsewhere"]), *node.claim(3, ["tests.elsewhere"])]
    assert by_tenant(came) == {"a": 1, "b": 1}


def test_timers_name_their_keys_themselves(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    update_group("work", max_concurrency_per_key=1)
    for number in range(3):
        schedule_once("work", f"own-{number}", after=1, concurrency_key="acme")
        schedule_once("work", f"none-{number}", after=1)
    time.advance(1)
    names = sorted(execution.name for execution in claim_all(node))
    assert names == ["none-0", "none-1", "none-2", "own-0"], "what names no key is not limited by key"


def test_a_key_of_its_own_comes_before_the_payloads(tenants: TimerGroup) -> None:
    timer = schedule_once("work", "own", after=60, payload={"tenant": "a"}, concurrency_key="b")
    assert (timer.concurrency_key, timer.limit_key) == ("b", "b")
    timer = update_timer("work", "own", concurrency_key=None)
    assert (timer.concurrency_key, timer.limit_key) == (None, "a")


@pytest.mark.parametrize("payload", [None, {}, {"tenant": None}, {"tenant": ["a"]}, "acme", 5])
def test_timers_whose_payload_has_no_key_share_one(
    tenants: TimerGroup, node: Stepper, time: VirtualTime, payload: Any
) -> None:
    due_timers(time, ("a", 1))
    schedule_many([
        {"kind": "once", "group": "work", "name": f"{n}", "after": 0, "payload": payload} for n in range(5)
    ])  # fmt: skip
    assert len(claim_all(node)) == 2 + 1


def test_the_key_follows_edits_and_replacements(tenants: TimerGroup) -> None:
    schedule_once("work", "one", after=60, payload={"tenant": "a"})
    assert update_timer("work", "one", payload={"tenant": "b"}).limit_key == "b"
    schedule_once("work", "one", after=60, payload={"tenant": "c"}, on_conflict="replace")
    assert Timer.objects.get().limit_key == "c"
    schedule_fixed_rate("work", "one", period=60, payload={"tenant": "d"}, on_conflict="replace")
    assert Timer.objects.get().limit_key == "d"


def test_another_path_gives_all_timers_their_keys_anew(tenants: TimerGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timers.engine.rekey.BATCH", 2)
    for number in range(5):
        schedule_once("work", f"{number}", after=60, payload={"tenant": "a", "user": f"u{number}"})
    schedule_once("work", "own", after=60, concurrency_key="own")
    update_group("work", concurrency_key="payload.user")
    keys = set(Timer.objects.values_list("limit_key", flat=True))
    assert keys == {"own", *(f"u{number}" for number in range(5))}
    update_group("work", max_concurrency_per_key=None)
    assert set(Timer.objects.values_list("limit_key", flat=True)) == {None}
    update_group("work", max_rate_per_key="1/s")
    assert "u1" in set(Timer.objects.values_list("limit_key", flat=True))


@pytest.mark.parametrize(
    "payload",
    ['{"tenant": 1e999}', '{"tenant": "\\ud800"}', '{"tenant": "\\u0000"}', "[" * 5000 + "]" * 5000, "1" * 5000],
)
def test_one_payload_that_cannot_be_read_does_not_stop_the_change(group: TimerGroup, payload: str) -> None:
    for name in ("odd", "plain"):
        schedule_once("work", name, after=60, payload={"tenant": "a"})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE timers_timer SET payload = %s::json WHERE name = 'odd'", (payload,))
    update_group("work", concurrency_key="payload.tenant", max_concurrency_per_key=1)
    assert dict(Timer.objects.values_list("name", "limit_key")) == {"odd": NO_KEY, "plain": "a"}


def test_one_shots_with_executions_under_way_get_their_keys(group: TimerGroup, node: Stepper) -> None:
    fields: dict[str, Any] = {"in_group": group, "state": "finished", "payload": {"tenant": "a"}}
    factories.waiting(factories.timer("waits", **fields), "ready")
    factories.waiting(factories.timer("failed", **fields), "failed")
    factories.claim(node.node, factories.timer("claimed", **fields))
    factories.timer("over", **fields)
    update_group("work", concurrency_key="payload.tenant", max_concurrency_per_key=1)
    keys = dict(Timer.objects.values_list("name", "limit_key"))
    assert keys == {"waits": "a", "failed": "a", "claimed": "a", "over": None}


def test_what_is_called_back_gets_its_key_too(group: TimerGroup, time: VirtualTime) -> None:
    node = Stepper(time, look_ahead=10)
    schedule_once("work", "ahead", after=5, payload={"tenant": "a"})
    assert len(node.claim()) == 1
    update_group("work", misfire_grace=7, concurrency_key="payload.tenant", max_concurrency_per_key=1)
    timer = Timer.objects.get()
    assert (timer.state, timer.limit_key) == ("active", "a")


def test_keys_are_set_again_only_where_they_can_change(tenants: TimerGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    set_again: list[TimerGroup] = []
    monkeypatch.setattr("timers.control.limit_change.rekey", set_again.append)
    update_group("work", concurrency_key="payload.tenant", description="words")
    update_group("work", max_concurrency_per_key=5, max_rate_per_key="5/s")
    assert set_again == []
    update_group("work", concurrency_key="payload.user")
    assert len(set_again) == 1


def test_groups_that_do_not_limit_by_key_keep_none(group: TimerGroup) -> None:
    update_group("work", concurrency_key="payload.tenant", max_concurrency=5)
    assert schedule_once("work", "one", after=60, payload={"tenant": "a"}, concurrency_key="b").limit_key is None
    assert Timer.objects.get().limit_key is None


def test_retries_manual_runs_and_what_is_rescued_count(tenants: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    due_timers(time, ("a", 2), ("b", 1))
    dead = Stepper(time)
    assert len(claim_all(dead)) == 3
    fire_timer("work", "a-0", overlap="allow")
    schedule_once("work", "b-1", after=0, payload={"tenant": "b"})
    assert by_tenant(claim_all(node)) == {"b": 1}, "what a dead node holds counts until it is rescued"
    node.rescue(dead)
    assert by_tenant(claim_all(node)) == {"a": 2, "b": 1}
    assert Waiting.objects.filter(state="ready").count() == 1
    node.run()
    node.finish()
    assert by_tenant(claim_all(node)) == {"a": 1}


def test_ready_executions_of_a_full_key_hide_no_others(tenants: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    huge = factories.timer("huge", in_group=tenants, limit_key="huge")
    for ago in range(50):
        factories.waiting(huge, "ready", ago=ago + 100)
    factories.waiting(factories.timer("small", in_group=tenants, limit_key="small"), "ready", ago=1)
    update_group("work", overlap_policy="allow", max_batch=10)
    names = [execution.name for execution in claim_all(node)]
    assert sorted(names) == ["huge", "huge", "small"]


def test_each_key_has_its_rate(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    update_group("work", concurrency_key="payload.tenant", max_rate_per_key="4/s")
    due_timers(time, ("a", 10), ("b", 1))
    assert by_tenant(claim_all(node)) == {"a": 2, "b": 1}
    node.run()
    node.finish()
    time.advance(0.25)
    assert by_tenant(claim_all(node)) == {"a": 1}
    assert set(RateState.objects.values_list("key", flat=True)) == {":a", ":b"}


def test_a_look_comes_when_the_rate_of_a_key_has_room(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    update_group("work", concurrency_key="payload.tenant", max_rate_per_key="10/s")
    due_timers(time, ("a", 100))
    bench = Bench(node)
    bench.step()
    claimed = len(bench.held)
    assert 5 <= claimed <= 5 + 16, "a burst, and what starts within the look-ahead"
    assert bench.claimer.step() <= 1
    starts = [execution.start_us for execution in bench.held]
    assert min(later - first for first, later in pairwise(starts[5:])) >= 100_000


def test_the_rate_of_a_key_counts_from_when_the_groups_rate_lets_it_start(group: TimerGroup, time: VirtualTime) -> None:
    update_group("work", concurrency_key="payload.tenant", max_rate="4/s", max_rate_per_key="2/s")
    due_timers(time, ("b", 1), ("c", 1), ("a", 2))
    held = Stepper(time, look_ahead=1).claim()
    starts = [(each.payload["tenant"], (each.start_us - time.us) / 1_000_000) for each in held]
    assert starts == [("b", 0), ("c", 0), ("a", 0.25), ("a", 0.75)]


def test_limits_of_the_group_and_of_keys_hold_together(tenants: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    update_group("work", max_concurrency=3)
    due_timers(time, ("a", 5), ("b", 5), ("c", 5))
    assert by_tenant(claim_all(node)) == {"a": 2, "b": 1}


def test_what_one_timer_fires_at_once_beyond_its_key_waits(
    tenants: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    update_group("work", misfire_policy="fire_all", overlap_policy="allow")
    schedule_fixed_rate("work", "rate", period=100, payload={"tenant": "a"})
    time.advance(500)
    assert len(node.claim()) == 2
    assert Waiting.objects.filter(state="ready").count() == 3


def test_consumers_are_limited_by_key(node: Stepper, time: VirtualTime) -> None:
    create_group("jobs", action={"kind": "pull"}, concurrency_key="payload.tenant", max_concurrency_per_key=1)
    due_timers(time, ("a", 3), ("b", 3), group="jobs")
    first = claim("jobs", "x", limit=10)
    assert sorted(message.envelope["Payload"]["tenant"] for message in first) == ["a", "b"]
    assert claim("jobs", "y", limit=10) == []


@pytest.mark.usefixtures("committed")
def test_eight_nodes_never_hold_more_of_a_key(tenants: TimerGroup, time: VirtualTime) -> None:
    due_timers(time, *((f"t{number}", 20) for number in range(5)))
    nodes = [Stepper(time) for _ in range(8)]

    def work(number: int) -> int:
        time.show()
        most = idle = 0
        for turn in range(300):
            came = nodes[number].claim(limit=3)
            held: Counter[str | None] = Counter()
            for key, executions in Claim.objects.values_list("limit_key", "executions"):
                held[key] += len(executions)
            most = max([most, *held.values()])
            if came and (turn + number) % 9 == 0:
                dead, nodes[number] = nodes[number], Stepper(time)
                nodes[number].rescue(dead)
                continue
            nodes[number].run()
            nodes[number].finish()
            idle = 0 if came else idle + 1
            if idle > 30 and not Timer.objects.filter(state="active").exists():
                break
        return most

    results = in_threads(8, work)
    assert [result for result in results if isinstance(result, Exception)] == []
    assert max(int(str(result)) for result in results) == 2
    assert not Timer.objects.filter(state="active").exists()
