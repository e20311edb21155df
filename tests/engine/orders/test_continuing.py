"""The worker that ends a step claims the order's next step with it, unless a condition has to be checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext

from tests.engine.orders.conftest import END, Continues, action
from tests.engine.orders.test_crashes import steps_of
from tests.support.handlers import TemporaryHandlers
from tests.support.sessions import OtherSession
from timers.cluster import pause_cluster
from timers.control.chains.define import create_chain
from timers.control.chains.locks import set_lock
from timers.control.chains.orders import prioritize_order, suspend_order
from timers.control.chains.steps import skip_step, stop_chain, stop_step
from timers.database import connection
from timers.engine.orders import continuing as continuing_module
from timers.engine.orders.continuing import MOST_IN_A_ROW
from timers.executions import cancel_execution
from timers.handlers import unregister
from timers.models import Attempt, ChainOrder, Claim, TimerGroup, Waiting
from timers.scheduling import pause_group, schedule_once, update_group, update_timer
from timers.testing import Stepper, VirtualTime

Begin = Callable[..., str]
TWO: dict[str, Any] = {"a": action("b"), "b": action("end")}


@pytest.fixture
def node(time: VirtualTime) -> Continues:
    return Continues(time)


def end_step(node: Continues) -> list[str]:
    """Ends what runs; returns the steps that were claimed with it."""
    node.run()
    return [execution.step for execution in node.finish().continued]


def waiting() -> list[tuple[str | None, str]]:
    return list(Waiting.objects.values_list("step", "state"))


def test_next_step_is_claimed_with_the_end_of_the_step_before(begin: Begin, node: Continues) -> None:
    order = begin({"a": action("b"), "b": action("end")}, {"x": 1})
    assert [each.step for each in node.held] == ["a"], "its first step is claimed with its start"
    assert end_step(node) == ["b"]
    (execution,) = node.held
    assert (execution.id, execution.attempt, execution.payload) == (order, 2, {"x": 1})
    assert Claim.objects.get().id == execution.fence
    assert waiting() == []
    assert end_step(node) == []
    assert steps_of(order) == [("a", "advanced"), ("b", "advanced")]
    assert Attempt.objects.get(id=order).outcome == "succeeded"
    assert not Claim.objects.exists()


def test_claimed_step_has_the_action_and_limit_of_the_step_and_what_its_timer_overrides(
    group: TimerGroup, node: Continues, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.other")
    steps = {"a": action("b", timeout=5), "b": action("end", "tests.other"), "end": END}
    create_chain("work", "main", {"start": "a", "steps": steps})
    schedule_once(
        "work", "order", after=0, action={"kind": "chain", "chain": "main"}, overrides={"attempt_timeout": 77}
    )
    node.claim()
    end_step(node)
    assert node.held[0].policies.attempt_timeout == 5
    end_step(node)
    (execution,) = node.held
    assert (execution.action_name, execution.policies.attempt_timeout) == ("tests.other", 77)


def test_branch_goes_on_with_the_variables_of_its_parents(begin: Begin, node: Continues) -> None:
    steps = {
        "fork": {"kind": "fork", "branches": {"left": "l"}, "join": "join"},
        "l": action("m"), "m": action("join"), "join": {"kind": "join", "next": "end"},
    }  # fmt: skip
    begin(steps, {"x": 1})
    node.claim()
    assert end_step(node) == ["m"]
    assert node.held[0].payload == {"x": 1}


def test_node_that_dies_after_a_claimed_step_loses_no_order_and_repeats_no_ended_step(
    begin: Begin, time: VirtualTime, node: Continues
) -> None:
    order = begin(TWO)
    assert end_step(node) == ["b"]
    other = Stepper(time, "other")
    other.rescue(node)
    other.until_idle()
    assert steps_of(order) == [("a", "advanced"), ("b", "lost"), ("b", "advanced")]
    assert Attempt.objects.get(id=order).outcome == "succeeded"


def test_step_that_was_claimed_and_not_begun_is_given_back(begin: Begin, time: VirtualTime, node: Continues) -> None:
    begin(TWO)
    end_step(node)
    assert node.release() == 1
    assert waiting() == [("b", "ready")]
    (again,) = Stepper(time, "other").claim()
    assert (again.step, again.attempt) == ("b", 2)


def test_stopped_or_skipped_step_is_not_claimed(begin: Begin, node: Continues) -> None:
    begin({"a": action("b"), "b": action("c"), "c": action("end")})
    skip_step("work", "main", "b")
    stop_step("work", "main", "c")
    assert end_step(node) == []
    assert (ChainOrder.objects.get().step, ChainOrder.objects.get().state) == ("c", "at_stopped")


@pytest.mark.parametrize(
    "change",
    [
        lambda order: stop_chain("work", "main"),
        suspend_order,
        lambda order: pause_group("work"),
        lambda order: pause_cluster(),
        lambda order: update_group("work", priority=3),
        lambda order: update_group("work", max_concurrency=5),
        cancel_execution,
    ],
    ids=["chain stopped", "order suspended", "group paused", "cluster paused", "group changed", "limit", "cancelled"],
)
def test_change_while_a_step_runs_is_obeyed(begin: Begin, node: Continues, change: Callable[[str], object]) -> None:
    order = begin(TWO)
    node.run()
    change(order)
    assert node.finish().continued == []
    assert not Claim.objects.exists()


@pytest.mark.parametrize(
    "fields", [{"max_orders": 2}, {"locks": ["printer"]}, {"required_roles": ["gpu"]}, {"delay": 5}], ids=str
)
def test_step_with_a_condition_takes_the_ordinary_way(
    group: TimerGroup, begin: Begin, node: Continues, fields: dict[str, Any]
) -> None:
    set_lock("work", "printer", 1)
    begin({"a": action("b"), "b": action("end", **fields)}, locks={"printer": "shared"} if "locks" in fields else {})
    assert end_step(node) == []
    assert waiting() == [("b", "ready")]


def test_step_of_a_handler_that_is_unknown_here_is_left_to_others(
    begin: Begin, node: Continues, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.elsewhere")
    begin({"a": action("b"), "b": action("end", "tests.elsewhere")})
    unregister("tests.elsewhere")
    assert end_step(node) == []
    assert waiting() == [("b", "ready")]


def test_worker_without_room_for_all_claims_none(group: TimerGroup, time: VirtualTime, node: Continues) -> None:
    create_chain("work", "main", {"start": "a", "steps": {**TWO, "end": END}})
    for name in ("one", "two"):
        schedule_once("work", name, after=0, action={"kind": "chain", "chain": "main"})
    node.room = 1
    node.claim()
    assert end_step(node) == []
    assert waiting() == [("a", "ready")] * 2


def test_order_is_handed_over_after_so_many_steps(
    begin: Begin, node: Continues, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_IN_A_ROW > 3
    monkeypatch.setattr(continuing_module, "MOST_IN_A_ROW", 3)
    names = [f"s{number}" for number in range(6)]
    begin({name: action(after) for name, after in zip(names, [*names[1:], "end"], strict=True)})
    assert [end_step(node), end_step(node), end_step(node)] == [["s1"], ["s2"], []]
    assert waiting() == [("s3", "ready")]
    node.claim()
    assert end_step(node) == ["s4"]


def test_order_goes_on_before_others_only_if_none_waits_where_priorities_count(
    begin: Begin, time: VirtualTime, node: Continues
) -> None:
    begin({"a": action("b"), "b": action("c"), "c": action("end")})
    prioritize_order(str(ChainOrder.objects.get().id), -1)
    node.release()
    node.claim()
    assert end_step(node) == ["b"]
    schedule_once("work", "other", after=0, action={"kind": "chain", "chain": "main"})
    plain = Stepper(time, "plain")
    plain.step()
    assert waiting() == [("a", "ready")]
    assert end_step(node) == []
    assert [each.name for each in node.claim(limit=1)] == ["other"]


@pytest.mark.usefixtures("committed")
def test_timer_that_is_being_changed_is_left_and_nothing_waits_for_it(
    begin: Begin, time: VirtualTime, node: Continues
) -> None:
    begin(TWO)
    node.run()
    with OtherSession(time.now) as session:
        session.begin()
        session.run(lambda: update_timer("work", "order", tags=["x"]))
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
        assert node.finish().continued == []
        session.commit()
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
    assert waiting() == [("b", "ready")]


def test_ends_of_other_executions_need_no_further_statement(group: TimerGroup, node: Continues) -> None:
    counts = []
    for each in (node, Stepper(node.time, "plain")):
        schedule_once("work", f"of {each.node.name}", after=0)
        each.claim()
        each.run()
        with CaptureQueriesContext(connection) as queries:
            each.finish()
        counts.append(len(queries))
    assert counts[0] == counts[1]
