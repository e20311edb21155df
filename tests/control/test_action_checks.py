from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from django.test import override_settings

from tests import factories
from tests.support.handlers import TemporaryHandlers
from timers import clock
from timers.control.groups import create_group, update_group
from timers.control.secrets import create_secret
from timers.exceptions import InvalidRequest, NotAllowedNow
from timers.models import Timer, TimerGroup
from timers.scheduling import fire_timer, schedule_once, update_timer
from timers.security.encryption import new_key

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def a_key() -> Iterator[None]:
    with override_settings(TIMERS={"ENCRYPTION_KEYS": new_key(date(2026, 1, 1))}):
        yield


def http(**fields: Any) -> dict[str, Any]:
    return {"kind": "http", "url": "https://api.example.org/hook", **fields}


def schedule(name: str = "t", **fields: Any) -> Any:
    return schedule_once(group="g", name=name, at=clock.now() + timedelta(hours=1), **fields)


@pytest.fixture(autouse=True)
def group() -> TimerGroup:
    return factories.group("g")


def test_a_timer_may_call_a_url() -> None:
    schedule(action=http())

    assert Timer.objects.get(name="t").action == http(method="POST")


@pytest.mark.parametrize(
    ("action", "field"),
    [
        (http(url="http://api.example.org/"), "action.url"),
        (http(url="https://127.0.0.1/"), "action.url"),
        (http(url="https://[::ffff:169.254.169.254]/"), "action.url"),
        (http(url="https://api.example.org:22/"), "action.url"),
        (http(proxy={"host": "10.0.0.1", "port": 3128}), "action.proxy"),
        (http(sign="nokey"), "action.sign"),
        (http(auth={"kind": "bearer", "secret": "none"}), "action.auth.secret"),
        (http(headers={"Host": "x"}), "action.headers.Host"),
    ],
)
def test_what_every_try_would_be_refused_is_refused_when_it_is_saved(action: dict[str, Any], field: str) -> None:
    for save in (
        lambda: schedule(action=action),
        lambda: create_group("h", action=action),
        lambda: update_group("g", action=action),
    ):
        with pytest.raises(InvalidRequest) as refused:
            save()
        assert refused.value.field == field
    assert not Timer.objects.exists()
    assert TimerGroup.objects.get().action == {"kind": "python", "handler": "tests.noop"}


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        schedule(action=http(url="https://10.0.0.1/", sign="nokey"))

    assert [problem.field for problem in refused.value.problems] == ["action.url", "action.sign"]


def test_what_is_unknown_or_unreadable_hides_neither_a_closed_target_nor_a_missing_secret() -> None:
    with pytest.raises(InvalidRequest) as refused:
        schedule(action=http(url="http://api.example.org/", sign="nokey", timeout="x", foo=1))
    assert {problem.field for problem in refused.value.problems} == {
        "action.url", "action.sign", "action.timeout", "action.foo",
    }  # fmt: skip

    with pytest.raises(InvalidRequest) as refused:
        create_group("h", shards=0, colour="red", action=http(url="api.example.org", sign="nokey"))
    assert {problem.field for problem in refused.value.problems} == {"shards", "colour", "action.url", "action.sign"}


def test_a_group_is_refused_a_handler_that_nobody_knows_but_keeps_one_that_has_gone() -> None:
    with pytest.raises(InvalidRequest, match="handler: no such handler here or on any live node"):
        create_group("h", action={"handler": "tests.nop"})
    TimerGroup.objects.filter(name="g").update(action={"kind": "python", "handler": "gone"})

    update_group("g", action={"kind": "python", "handler": "gone"}, description="as it was read")

    assert TimerGroup.objects.get().description == "as it was read"


@pytest.mark.parametrize(("own", "field"), [({"handler": "tests.noop"}, "handler"), ({"action": http()}, "action")])
def test_a_timer_of_a_pulled_group_has_no_action_of_its_own(own: dict[str, Any], field: str) -> None:
    create_group("mail", action={"kind": "pull"})
    words = "is not allowed: the timers of group mail are pulled by consumers"
    with pytest.raises(InvalidRequest, match=words) as refused:
        schedule_once(group="mail", name="t", after=60, **own)
    assert refused.value.field == field

    schedule_once(group="mail", name="t", after=60)
    with pytest.raises(InvalidRequest, match=words):
        update_timer("mail", "t", **own)


def test_a_group_becomes_pulled_only_when_no_living_timer_has_an_action_of_its_own(
    handlers: TemporaryHandlers,
) -> None:
    handlers.add("tests.noop")
    schedule("own", action=http())
    schedule("plain")
    with pytest.raises(NotAllowedNow, match=r"have actions of their own \(1 of them\)"):
        update_group("g", action={"kind": "pull"})

    update_timer("g", "own", action=None)

    assert update_group("g", action={"kind": "pull"}).action == {"kind": "pull"}


def test_a_secret_is_for_the_groups_it_names() -> None:
    create_secret("key", kind="signing", groups=["billing"])
    create_group("billing", action=http(sign="key"))

    with pytest.raises(InvalidRequest, match="not for group 'g'"):
        schedule(action=http(sign="key"))


def test_a_timer_of_a_group_that_calls_a_url_needs_no_action() -> None:
    update_group("g", action=http())

    schedule()
    fire_timer("g", "t")

    assert Timer.objects.get(name="t").action is None


def test_an_edit_is_checked_too() -> None:
    schedule(action=http())

    with pytest.raises(InvalidRequest, match="loopback"):
        update_timer("g", "t", action=http(url="https://127.0.0.1/"))
    update_timer("g", "t", action=http(url="https://other.example.org/"))
    assert Timer.objects.get(name="t").action["url"] == "https://other.example.org/"
