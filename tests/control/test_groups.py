from __future__ import annotations

from typing import Any

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import words_of
from tests.support.sessions import in_threads
from timers.exceptions import InvalidRequest, NotAllowedNow, TimerNotFound
from timers.models import Attempt, Timer, TimerGroup, Waiting
from timers.scheduling import (
    create_group,
    delete_group,
    ensure_group,
    fire_timer,
    pause_group,
    resume_group,
    schedule_fixed_rate,
    schedule_once,
    update_group,
)
from timers.testing import START, Stepper, VirtualTime


@pytest.fixture(autouse=True)
def _(time: VirtualTime, handlers: TemporaryHandlers) -> None:
    """Every test here has virtual time."""


def test_a_group_is_created_with_its_policies_and_sensible_defaults() -> None:
    create_group("billing", retry={"max_retries": 1}, misfire_grace=5, action={"handler": "tests.noop"}, priority=7)
    row = TimerGroup.objects.get()
    assert row.retry == {"max_retries": 1, "min_backoff": 120, "max_backoff": 600, "jitter": 0, "delays": []}
    assert (row.misfire_policy, row.misfire_grace, row.overlap_policy) == ("fire_once", 5, "skip")
    assert (row.on_failed, row.on_finish, row.state, row.partition, row.priority) == (
        "park", "keep", "active", "default", 7,
    )  # fmt: skip
    assert row.action == {"kind": "python", "handler": "tests.noop"}
    assert (row.created_at, row.version, row.shards) == (START, 1, 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("retry", {"max_retries": -1}),
        ("retry", {"max_retris": 1}),
        ("misfire_policy", "sometimes"),
        ("misfire_grace", -1),
        ("attempt_timeout", 0),
        ("attempt_timeout", float("nan")),
        ("overlap_policy", "pile up"),
        ("on_failed", "cry"),
        ("priority", 1001),
        ("shards", 0),
        ("max_batch", 10_001),
        ("retention", 0),
        ("retention", True),
        ("action", {"kind": "telepathy"}),
        ("partition", ""),
        ("required_roles", "gpu"),
        ("placement", "leader"),
        ("placement", ["lead"]),
        ("required_roles", [""]),
        ("colour", "red"),
        ("state", "paused"),
    ],
)
def test_a_field_that_makes_no_sense_is_named_and_no_group_is_written(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        create_group("work", **{field: value})
    assert refused.value.field.split(".")[0] == field
    assert not TimerGroup.objects.exists()


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        create_group("work", shards=0, misfire_policy="x", retry={"jitter": 2, "max_retries": "many"}, colour="red")
    assert {problem.field for problem in refused.value.problems} == {
        "shards", "misfire_policy", "retry.jitter", "retry.max_retries", "colour",
    }  # fmt: skip


def test_a_group_name_is_unique() -> None:
    create_group("work")
    with pytest.raises(InvalidRequest, match="name: is taken by another group"):
        create_group("work")
    assert ensure_group("work", priority=9).priority == 0


def test_eight_threads_that_want_one_group_get_the_same(committed: None) -> None:
    got = in_threads(8, lambda number: ensure_group("wanted", priority=number).id)
    assert set(got) == {TimerGroup.objects.get().id}


def test_a_change_of_a_group_is_taken_over_by_workers(node: Stepper, handlers: TemporaryHandlers) -> None:
    factories.group("work")
    handlers.add("tests.other", lambda fire: "other")
    schedule_fixed_rate("work", "rate", period=10)
    node.play(seconds=10, every=10)
    update_group("work", action={"handler": "tests.other"})
    node.play(seconds=10, every=10)
    assert list(Attempt.objects.order_by("id").values_list("result", flat=True)) == [None, "other"]
    assert TimerGroup.objects.get().version == 2


def test_a_paused_group_fires_nothing_until_it_is_resumed(node: Stepper, handlers: TemporaryHandlers) -> None:
    factories.group("work")
    schedule_once("work", "once", after=1)
    fire_timer("work", "once")
    row = pause_group("work", reason="tea", actor="bob")
    assert (row.state, row.state_reason, row.state_changed_by, row.state_changed_at) == ("paused", "tea", "bob", START)
    node.play(seconds=10, every=1)
    assert handlers.calls == []
    resume_group("work")
    node.until_idle()
    assert len(handlers.calls) == 2


@pytest.mark.parametrize("call", [update_group, pause_group, resume_group, delete_group])
def test_what_is_asked_of_a_group_that_does_not_exist_says_so(call: Any) -> None:
    with pytest.raises(TimerNotFound, match="there is no group 'ghost'"):
        call("ghost")


def test_a_group_with_timers_is_deleted_by_force_only_and_its_history_stays(node: Stepper) -> None:
    factories.group("work")
    timer = schedule_fixed_rate("work", "rate", period=10)
    node.play(seconds=10, every=10)
    fire_timer("work", "rate")
    with pytest.raises(NotAllowedNow, match="has timers"):
        delete_group("work")
    assert Timer.objects.count() == 1
    assert delete_group("work", force=True, actor="bob") == 1
    assert not TimerGroup.objects.exists() and not Timer.objects.exists() and not Waiting.objects.exists()
    assert sorted(words_of(timer)) == ["cancelled", "succeeded"]


def test_a_group_whose_executions_are_claimed_is_not_deleted(node: Stepper) -> None:
    factories.group("work")
    schedule_fixed_rate("work", "rate", period=10)
    node.time.advance(10)
    node.claim()
    with pytest.raises(NotAllowedNow, match="are claimed"):
        delete_group("work", force=True)
    assert (TimerGroup.objects.count(), Timer.objects.count()) == (1, 1)
    node.run()
    node.finish()
    assert delete_group("work", force=True) == 1
