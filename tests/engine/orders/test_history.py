"""The history of an order: each attempt of a step with the names of the variables that it set and changed."""

from __future__ import annotations

from collections.abc import Callable

from tests.engine.orders.conftest import action
from tests.engine.orders.test_branches import FORK, MAP, sides
from tests.support.handlers import TemporaryHandlers
from timers.chains import history, set_lock
from timers.control.chains.define import create_chain
from timers.models import Attempt, ChainOrder, TimerGroup
from timers.scheduling import schedule_once
from timers.testing import Stepper

Begin = Callable[..., str]
Names = tuple[str, ...]


def told(order: str) -> list[tuple[str, str, Names, Names]]:
    return [(row.step, row.outcome, row.set_variables, row.changed_variables) for row in history(order)]


def test_history_names_the_variables_that_each_step_set_and_changed(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.a", OSError("not yet"), {"total": 1, "lines": [], "left": 1})
    handlers.add("tests.b", lambda _: {"total": 2, "lines": []})
    handlers.add("tests.c", lambda _: {"total": 2})
    order = begin(
        {
            "a": action("b", "tests.a", results=["total", "lines"], retry=[1]),
            "b": action("c", "tests.b", results=["total", "lines"]),
            "c": action("end", "tests.c"),
        },
        {"given": 1},
    )
    node.advance(5)
    assert told(order) == [
        ("a", "error", (), ()),
        ("a", "advanced", ("total", "lines"), ()),
        ("b", "advanced", (), ("total",)),
        ("c", "advanced", (), ()),
        ("", "succeeded", (), ()),
    ]


def test_history_of_a_branch_has_the_variables_of_the_branch(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    sides(handlers)
    order = begin(FORK)
    node.until_idle()
    left = ChainOrder.objects.get(branch_name="left")
    assert told(str(left.id))[0] == ("l", "advanced", ("side",), ())
    assert told(order)[0] == ("after", "advanced", (), ())


def test_map_over_nothing_is_told_with_the_step_before_it(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.list", lambda _: {"items": []})
    handlers.add("tests.each")
    handlers.add("tests.after")
    order = begin({"list": action("map", "tests.list", results=["items"]), **MAP})
    node.until_idle()
    assert told(order)[0] == ("list", "advanced", ("items", "done"), ())


def test_executions_that_are_no_orders_have_no_variables_in_the_ledger(group: TimerGroup, node: Stepper) -> None:
    schedule_once("work", "plain", after=0)
    node.until_idle()
    assert Attempt.objects.get().variables is None


def test_steps_and_plain_executions_end_in_one_batch(group: TimerGroup, node: Stepper) -> None:
    set_lock("work", "printer", 1)
    steps = {"a": action("end", locks=["printer"]), "end": {"kind": "end"}}
    create_chain("work", "main", {"start": "a", "steps": steps, "locks": {"printer": "shared"}})
    schedule_once("work", "order", after=0, action={"kind": "chain", "chain": "main"})
    node.step()
    schedule_once("work", "plain", after=0)
    assert len(node.claim()) == 2
    node.run()
    node.finish()
    assert sorted(Attempt.objects.values_list("name", "outcome")) == [
        ("order", "advanced"), ("order", "succeeded"), ("plain", "succeeded"),
    ]  # fmt: skip
