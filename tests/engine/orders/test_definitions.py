"""Definitions are refused as a whole, each problem with its place, where they name what the group does not have."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.orders.conftest import END, action
from timers.control.chains.define import create_chain, update_chain
from timers.control.chains.locks import delete_lock, set_lock
from timers.exceptions import InvalidRequest, NotAllowedNow, TimerExists, TimerNotFound
from timers.models import AuditEntry, Chain, ChainLock, TimerGroup
from timers.scheduling import schedule_once


def create(name: str, steps: dict[str, Any], **fields: Any) -> Chain:
    return create_chain("work", name, {"start": next(iter(steps)), "steps": {**steps, "end": END}, **fields})


def test_all_problems_of_a_definition_are_told_together(group: TimerGroup) -> None:
    with pytest.raises(InvalidRequest) as caught:
        create("main", {"a": action("nowhere", "tests.unknown"), "b": action("end", "tests.noob")})
    fields = {problem.field for problem in caught.value.problems}
    assert fields == {"steps.a.next", "steps.a.action.handler", "steps.b.action.handler"}
    assert not Chain.objects.exists()


@pytest.mark.parametrize("kind", [{"kind": "pull"}, {"kind": "chain", "chain": "main"}])
def test_action_that_no_step_can_have_is_refused(group: TimerGroup, kind: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="no action of a step"):
        create("main", {"a": {"kind": "action", "action": kind, "next": "end"}})


def test_chain_that_contains_itself_is_refused(group: TimerGroup) -> None:
    create("inner", {"a": action("end")})
    create("outer", {"sub": {"kind": "chain", "chain": "inner", "next": "end"}})
    with pytest.raises(InvalidRequest, match="contain itself"):
        update_chain(
            "work", "inner",
            {"start": "sub", "steps": {"sub": {"kind": "chain", "chain": "outer", "next": "end"}, "end": END}},
        )  # fmt: skip


def test_lock_that_nobody_declares_is_refused_and_one_in_use_is_not_deleted(group: TimerGroup) -> None:
    step = action("end", locks=["printer"])
    with pytest.raises(InvalidRequest, match=r"locks\.printer"):
        create("main", {"a": step}, locks={"printer": "shared"})
    set_lock("work", "printer", 2)
    create("main", {"a": step}, locks={"printer": "shared"})
    with pytest.raises(NotAllowedNow, match="main"):
        delete_lock("work", "printer")
    assert set_lock("work", "printer", 3).capacity == 3


@pytest.mark.parametrize("capacity", [0, -1, True, "2", 10**9])
def test_capacity_of_a_lock_is_a_number_from_one(group: TimerGroup, capacity: Any) -> None:
    with pytest.raises(InvalidRequest, match="capacity"):
        set_lock("work", "printer", capacity)


def test_lock_that_no_chain_takes_is_deleted(group: TimerGroup) -> None:
    set_lock("work", "printer", 1)
    delete_lock("work", "printer")
    assert not ChainLock.objects.exists()
    with pytest.raises(TimerNotFound):
        delete_lock("work", "printer")


def test_name_is_taken_once_in_a_group(group: TimerGroup) -> None:
    create("main", {"a": action("end")})
    with pytest.raises(TimerExists):
        create("main", {"a": action("end")})


def test_timer_of_a_chain_that_does_not_exist_is_refused_with_the_nearest(group: TimerGroup) -> None:
    create("import", {"a": action("end")})
    with pytest.raises(InvalidRequest, match="did you mean import"):
        schedule_once("work", "order", after=0, action={"kind": "chain", "chain": "imprt"})


def test_each_change_is_in_the_audit_trail(group: TimerGroup) -> None:
    create("main", {"a": action("end")})
    update_chain("work", "main", {"start": "b", "steps": {"b": action("end"), "end": END}}, actor="ann")
    set_lock("work", "printer", 1, actor="ann")
    verbs = AuditEntry.objects.order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["chain.create", "chain.update", "lock.set"]
