"""What is only skipped, ended or put off uses up nothing of a group's limits: what comes after it is claimed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.test_max_concurrency import claimed
from timers.consuming import claim
from timers.models import Attempt, TimerGroup
from timers.scheduling import create_group, schedule_fixed_rate, schedule_many, update_group
from timers.testing import Stepper, VirtualTime

LIMITS: list[dict[str, Any]] = [
    {"max_concurrency": 1},
    {"max_rate": "1/s"},
    {"max_concurrency_per_key": 1, "concurrency_key": "payload.tenant"},
    {"max_rate_per_key": "1/s", "concurrency_key": "payload.tenant"},
]


def stale_timers(number: int, time: VirtualTime, group: str = "work", **fields: Any) -> None:
    """Timers that are due, and too late; and one behind them that is in time."""
    schedule_many([
        {"kind": "once", "group": group, "name": f"late-{n}", "after": 0, "payload": {"tenant": "a"}, **fields}
        for n in range(number)
    ])  # fmt: skip
    time.advance(100)
    schedule_many([{"kind": "once", "group": group, "name": "live", "after": 0, "payload": {"tenant": "a"}}])


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("policy", [{"misfire_policy": "skip", "misfire_grace": 5}, {"max_lateness": 5}])
def test_late_timers_that_are_skipped_use_up_no_limit(
    group: TimerGroup, node: Stepper, time: VirtualTime, limits: dict[str, Any], policy: dict[str, Any]
) -> None:
    update_group("work", **limits)
    stale_timers(300, time, overrides=policy)
    assert [execution.name for execution in node.claim(limit=10)] == ["live"]
    assert Attempt.objects.filter(outcome="skipped").count() == 300


@pytest.mark.parametrize("limits", LIMITS)
def test_expired_instants_of_recurring_timers_use_up_no_limit(
    group: TimerGroup, node: Stepper, time: VirtualTime, limits: dict[str, Any]
) -> None:
    update_group("work", **limits)
    for number in range(40):
        schedule_fixed_rate("work", f"{number}", period=90, payload={"tenant": "a"}, overrides={"max_lateness": 5})
    stale_timers(1, time, overrides={"max_lateness": 5})
    assert [execution.name for execution in node.claim(limit=10)] == ["live"]
    assert Attempt.objects.filter(outcome="skipped").count() == 41


@pytest.mark.parametrize("limits", LIMITS)
def test_no_more_than_the_limit_is_claimed_where_some_are_skipped(
    group: TimerGroup, node: Stepper, time: VirtualTime, limits: dict[str, Any]
) -> None:
    update_group("work", **limits)
    stale_timers(10, time, overrides={"max_lateness": 5})
    schedule_many([
        {"kind": "once", "group": "work", "name": f"{number}", "after": 0, "payload": {"tenant": "a"}}
        for number in range(9)
    ])  # fmt: skip
    assert len(node.claim()) == 1
    assert node.claim() == []
    assert claimed(group) == 1


def test_consumers_get_what_stands_behind_expired_timers(time: VirtualTime) -> None:
    create_group("jobs", action={"kind": "pull"}, max_concurrency=1)
    stale_timers(300, time, "jobs", overrides={"max_lateness": 5})
    (message,) = claim("jobs", "a", limit=5)
    assert message.envelope["Name"] == "live"
