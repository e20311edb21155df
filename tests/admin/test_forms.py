from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from tests import factories
from tests.admin.pages import list_of, page_of
from timers.models import Timer, TimerGroup

ADD_TIMER = "/admin/timers/timer/add/"
ADD_GROUP = "/admin/timers/timergroup/add/"


def timer_fields(**fields: Any) -> dict[str, Any]:
    """What the form of a new timer sends."""
    return {
        "name": "it", "schedule_kind": "fixed_rate", "period": "60", "time_zone": "UTC",
        "payload": '{"zebra": 1, "ape": 2}', "action": "", "overrides": "", "tags": "", **fields,
    }  # fmt: skip


def shown(client: Client, address: str) -> dict[str, Any]:
    """What the form of a page would send back unchanged."""
    form = client.get(address).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    for name in ("start_at", "end_at"):
        if name in values:
            moment = values.pop(name)
            values |= {
                f"{name}_0": (moment and f"{moment:%Y-%m-%d}") or "",
                f"{name}_1": (moment and f"{moment:%H:%M:%S}") or "",
            }
    return {name: "" if value is None else value for name, value in values.items() if value is not False}


def errors(response: Any) -> dict[str, Any]:
    found: dict[str, Any] = response.context["adminform"].form.errors
    return found


def test_a_timer_is_created_with_all_it_was_given(alice: Client) -> None:
    group = factories.group()

    answer = alice.post(ADD_TIMER, timer_fields(group=group.pk, tags="a,b", overrides='{"retry": {"max_retries": 1}}'))

    timer = Timer.objects.get()
    assert answer.status_code == 302
    assert (timer.group, timer.name, timer.tags, timer.created_by) == (group, "it", ["a", "b"], "alice")
    assert timer.schedule["period"] == 60
    assert list(timer.payload) == ["zebra", "ape"]
    assert timer.next_fire_at is not None
    assert LogEntry.objects.get().object_id == str(timer.pk)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"schedule_kind": "once", "at": "2199-01-01T00:00:00Z"}, "once at 2199-01-01 00:00:00 UTC"),
        ({"period": "PT1M30S"}, "every 1 m 30 s"),
        ({"schedule_kind": "fixed_delay", "delay": "2.5"}, "2 s 500 ms after the end of each run"),
        ({"schedule_kind": "cron", "expression": "30 2 * * *", "time_zone": "Europe/Berlin"}, "Europe/Berlin"),
    ],
)
def test_every_kind_of_schedule_can_be_given(alice: Client, fields: dict[str, str], words: str) -> None:
    alice.post(ADD_TIMER, timer_fields(group=factories.group().pk, **fields))

    assert words in alice.get(list_of("timer")).text


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("period", {"period": "0"}),
        ("period", {"period": "often"}),
        ("expression", {"schedule_kind": "cron", "expression": "0 0 31 2 *"}),
        ("time_zone", {"schedule_kind": "cron", "expression": "* * * * *", "time_zone": "Europe/Berlim"}),
        ("at", {"schedule_kind": "once", "at": "2026-11-20T15:00:00"}),
        ("payload", {"payload": "{"}),
        ("payload", {"payload": "NaN"}),
        ("payload", {"payload": factories.POISON}),
        ("payload", {"payload": "[" * 5000 + "]" * 5000}),
        ("payload", {"payload": "9" * 5000}),
        ("payload", {"payload": f'"{"x" * 70_000}"'}),
        ("action", {"action": '{"handler": "tests.nop"}'}),
        ("overrides", {"overrides": '{"retry": {"max_retries": -1}}'}),
        ("name", {"name": "x" * 201}),
        ("max_fires", {"max_fires": "-1"}),
    ],
)
def test_a_mistake_is_told_on_its_field_and_nothing_is_written(
    alice: Client, field: str, fields: dict[str, str]
) -> None:
    sent = timer_fields(group=factories.group().pk, **fields)

    answer = alice.post(ADD_TIMER, sent)

    assert answer.status_code == 200
    assert field in errors(answer), dict(errors(answer))
    assert not Timer.objects.exists()
    assert answer.context["adminform"].form["name"].value() == sent["name"]


def test_a_name_that_is_taken_is_refused_on_the_name(alice: Client) -> None:
    timer = factories.timer("it")

    assert "name" in errors(alice.post(ADD_TIMER, timer_fields(group=timer.group_id)))


def test_the_name_of_a_finished_timer_is_free_again(alice: Client) -> None:
    timer = factories.timer("it", state="finished", next_fire_at=None)

    assert alice.post(ADD_TIMER, timer_fields(group=timer.group_id)).status_code == 302
    again = Timer.objects.named(timer.group.name, "it").first()
    assert again is not None
    assert (again.state, again.id == timer.id) == ("active", False)


def test_only_what_was_changed_is_written(alice: Client) -> None:
    timer = factories.timer(payload={"b": 2**60, "a": 1.5})
    before = (timer.schedule, timer.next_fire_at)
    page = page_of("timer", timer.pk)

    answer = alice.post(page, {**shown(alice, page), "description": "told"})

    assert answer.status_code == 302, errors(answer)
    timer.refresh_from_db()
    assert (timer.description, timer.updated_by, timer.version) == ("told", "alice", 2)
    assert (timer.schedule, timer.next_fire_at) == before
    assert timer.payload == {"b": 2**60, "a": 1.5}


def test_another_schedule_moves_the_next_fire(alice: Client) -> None:
    timer = factories.timer()
    page = page_of("timer", timer.pk)

    answer = alice.post(page, {**shown(alice, page), "schedule_kind": "cron", "expression": "0 0 1 1 *"})

    assert answer.status_code == 302, errors(answer)
    timer.refresh_from_db()
    assert timer.schedule_kind == "cron"
    assert timer.next_fire_at is not None
    assert (timer.next_fire_at.month, timer.next_fire_at.day) == (1, 1)


def test_two_editors_do_not_lose_each_others_change(alice: Client) -> None:
    timer = factories.timer()
    page = page_of("timer", timer.pk)
    first, second = shown(alice, page), shown(alice, page)
    alice.post(page, {**first, "description": "first"})

    answer = alice.post(page, {**second, "description": "second"})

    assert answer.status_code == 200
    assert "read it again" in str(errors(answer)["__all__"])
    timer.refresh_from_db()
    assert timer.description == "first"


def test_a_payload_that_cannot_be_read_must_be_replaced_with_the_first_change(alice: Client) -> None:
    timer = factories.timer()
    factories.spoil(timer, "payload")
    page = page_of("timer", timer.pk)
    sent = shown(alice, page)
    assert sent["payload"] == factories.POISON

    refused = alice.post(page, {**sent, "description": "told"})
    assert "payload" in errors(refused)

    assert alice.post(page, {**sent, "payload": '{"a": 1}'}).status_code == 302
    timer.refresh_from_db()
    assert timer.payload == {"a": 1}


def test_a_cancelled_timer_is_not_edited(alice: Client) -> None:
    timer = factories.timer(state="cancelled", next_fire_at=None)
    page = page_of("timer", timer.pk)

    answer = alice.post(page, {**shown(alice, page), "description": "told"})

    assert "is cancelled" in str(errors(answer)["__all__"])


def test_group_and_name_of_a_timer_stay(alice: Client) -> None:
    timer = factories.timer("it")
    page = page_of("timer", timer.pk)

    alice.post(page, {**shown(alice, page), "name": "other", "group": factories.group().pk, "description": "told"})

    timer.refresh_from_db()
    assert timer.name == "it"


def test_who_may_only_look_can_neither_add_nor_change(bob: Client) -> None:
    timer = factories.timer()

    assert bob.post(ADD_TIMER, timer_fields(group=timer.group_id)).status_code == 403
    assert bob.post(page_of("timer", timer.pk), {"description": "told"}).status_code == 403
    assert bob.post(page_of("timergroup", timer.group_id), {"description": "told"}).status_code == 403


def test_a_group_is_created_and_changed(alice: Client) -> None:
    given = shown(alice, ADD_GROUP)
    assert alice.post(ADD_GROUP, {**given, "name": "billing", "retry": '{"max_retries": 2}'}).status_code == 302
    group = TimerGroup.objects.get()
    assert (group.name, group.retry["max_retries"]) == ("billing", 2)

    page = page_of("timergroup", group.pk)
    answer = alice.post(
        page, {**shown(alice, page), "priority": "7", "required_roles": "gpu,disk", "placement": "lead"}
    )

    assert answer.status_code == 302, errors(answer)
    group.refresh_from_db()
    assert (group.priority, group.required_roles, group.placement) == (7, ["gpu", "disk"], "lead")
    assert group.version == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("retry", '{"max_retries": -1}'),
        ("retry", '{"max_retrys": 1}'),
        ("misfire_grace", "-5"),
        ("shards", "0"),
        ("priority", "5000"),
        ("action", '{"handler": 5}'),
        ("name", ""),
        ("partition", " "),
        ("max_timers", "0"),
        ("max_payload_bytes", "70000"),
        ("min_interval", "-1"),
        ("max_concurrency", "0"),
        ("max_rate", "0/s"),
        ("concurrency_key", "tenant"),
        ("max_concurrency_per_key", "0"),
        ("max_rate_per_key", "often"),
    ],
)
def test_a_group_that_makes_no_sense_is_refused_on_the_field(alice: Client, field: str, value: str) -> None:
    given = shown(alice, ADD_GROUP)

    answer = alice.post(ADD_GROUP, {**given, "name": "billing", field: value})

    assert field in errors(answer), dict(errors(answer))
    assert not TimerGroup.objects.exists()


def test_quotas_are_set_and_taken_away(alice: Client) -> None:
    page = page_of("timergroup", factories.group("billing").pk)
    for given, kept in (("5", 5), ("", None)):
        quotas = {"max_timers": given, "max_payload_bytes": given, "min_interval": given}
        answer = alice.post(page, {**shown(alice, page), **quotas})
        assert answer.status_code == 302, errors(answer)
        group = TimerGroup.objects.get()
        assert (group.max_timers, group.max_payload_bytes, group.min_interval) == (kept, kept, kept)


def test_limits_are_set_and_taken_away(alice: Client) -> None:
    page = page_of("timergroup", factories.group("billing").pk)
    for given, kept in ((("5", "50/s"), (5, "50/s")), (("", ""), (None, None))):
        answer = alice.post(page, {**shown(alice, page), "max_concurrency": given[0], "max_rate": given[1]})
        assert answer.status_code == 302, errors(answer)
        group = TimerGroup.objects.get()
        assert (group.max_concurrency, group.max_rate) == kept


def test_a_group_name_that_is_taken_is_refused_on_the_name(alice: Client) -> None:
    factories.group("billing")

    assert "name" in errors(alice.post(ADD_GROUP, {**shown(alice, ADD_GROUP), "name": "billing"}))
