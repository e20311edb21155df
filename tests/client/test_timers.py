"""Timers, groups and executions through the client."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from timers_client import Invalid, NameTaken, NotFound, StaleVersion, TimersClient, Unauthorized


@pytest.fixture(autouse=True)
def group(client: TimersClient) -> None:
    client.create_group("MyTimerGroup", action={"kind": "pull"})


def test_a_timer_is_scheduled_read_changed_and_cancelled(client: TimersClient) -> None:
    payload = {"b": 2**80, "a": "ü"}
    timer = client.schedule_fixed_rate("MyTimerGroup", "a b", period=timedelta(minutes=1), payload=payload)
    assert (timer.name, timer.kind, timer.state, timer.payload) == ("a b", "fixed_rate", "active", payload)
    assert timer.next_fire_at is not None and timer.next_fire_at > datetime.now(UTC)
    read = client.get_timer("MyTimerGroup", "a b")
    assert list(read.payload) == ["b", "a"] and read.raw["period"] == 60
    changed = client.update_timer("MyTimerGroup", "a b", version=read.version, period=5)
    with pytest.raises(StaleVersion):
        client.update_timer("MyTimerGroup", "a b", version=read.version, period=6)
    assert changed.raw["period"] == 5
    assert client.pause_timer("MyTimerGroup", "a b", reason="audit").state == "paused"
    assert client.resume_timer("MyTimerGroup", "a b").state == "active"
    cancelled = client.cancel_timer("MyTimerGroup", "a b", reason="moved")
    assert (cancelled.timer.state, cancelled.in_flight) == ("cancelled", ())


def test_every_kind_has_a_verb(client: TimersClient) -> None:
    client.schedule_once("MyTimerGroup", "1", at="2099-01-01T00:00:00Z")
    client.schedule_fixed_delay("MyTimerGroup", "2", delay=5)
    client.schedule_cron("MyTimerGroup", "3", expression="30 2 * * *", time_zone="Europe/Berlin")
    client.schedule_calendar("MyTimerGroup", "4", hour="*")
    client.schedule_window("MyTimerGroup", "5", begin="13:00", end="15:00", every="PT30M")
    client.schedule_rrule("MyTimerGroup", "6", rule="FREQ=DAILY")
    kinds = [timer.kind for timer in client.get_timers("MyTimerGroup", limit=2)]
    assert kinds == ["once", "fixed_delay", "cron", "calendar", "window", "rrule"]


def test_limits_are_set_and_a_timer_names_its_key(client: TimersClient) -> None:
    limits = {"max_concurrency": 5, "max_rate": "50/s", "max_concurrency_per_key": 2, "concurrency_key": "payload.t"}
    told = client.update_group("MyTimerGroup", **limits)
    assert {name: told[name] for name in limits} == limits
    assert client.schedule_once("MyTimerGroup", "a", after=60, concurrency_key="acme").raw["concurrency_key"] == "acme"


def test_a_one_shot_is_put_off_to_its_bound_at_most(client: TimersClient) -> None:
    for _ in range(2):
        timer = client.schedule_once("MyTimerGroup", "a", after=600, on_conflict="replace", debounce_max_wait=60)
        assert timer.raw["remaining"] <= 60


def test_errors_are_typed_and_name_the_fields(client: TimersClient, live_server: object) -> None:
    with pytest.raises(Invalid) as refused:
        client.schedule_fixed_rate("MyTimerGroup", "", period=-1)
    assert {error.field for error in refused.value.errors} == {"name", "period"}
    client.schedule_once("MyTimerGroup", "a", after=60)
    with pytest.raises(NameTaken):
        client.schedule_once("MyTimerGroup", "a", after=60)
    with pytest.raises(NotFound):
        client.get_timer("MyTimerGroup", "none")
    with pytest.raises(Unauthorized):
        TimersClient(live_server.url, "tk_no").me()  # type: ignore[attr-defined]


def test_many_timers_come_with_one_result_each(client: TimersClient) -> None:
    requests = [{"kind": "once", "name": f"t{number}", "after": 60} for number in range(3)]
    requests[1]["after"] = -1
    results = client.schedule_many("MyTimerGroup", requests)
    assert [result.result for result in results] == ["created", "refused", "created"]
    assert [problem.field for problem in results[1].errors] == ["after"]


def test_a_group_is_ensured_once(client: TimersClient) -> None:
    assert client.ensure_group("other", action={"kind": "pull"})["version"] == 1
    assert client.ensure_group("other", description="x")["description"] == ""
    assert [group["name"] for group in client.get_groups()] == ["MyTimerGroup", "other"]
    assert client.me()["actor"] == "key client"


def test_an_existing_group_is_left_as_it_is_and_what_was_given_otherwise_is_named(
    client: TimersClient, caplog: pytest.LogCaptureFixture
) -> None:
    retry = {"max_retries": 5, "min_backoff": 0}
    client.create_group("other", action={"kind": "pull"}, retry=retry, attempt_timeout=90)
    same = {"action": {"kind": "pull"}, "retry": {"min_backoff": 0.0}, "priority": 0}
    for duration in (90, "PT1M30S", timedelta(seconds=90)):
        client.ensure_group("other", **same, attempt_timeout=duration)
    assert not caplog.records
    group = client.ensure_group(
        "other",
        action={"handler": "nope"},
        retry={"max_retries": 5, "min_backoff": 7},
        attempt_timeout="PT1H",
        misfire="x",
    )
    assert (group["retry"]["min_backoff"], group["attempt_timeout"], group["version"]) == (0, 90, 1)
    (said,) = (record.getMessage() for record in caplog.records)
    assert (
        "differs from what ensure_group was given in action.handler, attempt_timeout, misfire, retry.min_backoff"
        in said
    )
    assert "update_group" in said


def test_a_run_is_asked_for_and_found_again(client: TimersClient) -> None:
    client.schedule_once("MyTimerGroup", "a", after=3600, payload=1)
    execution = client.fire_timer("MyTimerGroup", "a", payload={"n": 2})
    found = client.get_execution(execution)
    assert (found.state, found.timer, found.raw["payload"]) == ("ready", "a", {"n": 2})
    assert [each.id for each in client.get_executions(state="ready")] == [execution]
    assert client.cancel_execution(execution).state == "cancelled"
    assert client.preview("MyTimerGroup", kind="cron", expression="0 0 1 1 *", n=2)["fires"][1]["runs"]
