"""What is recreated under the name of something deleted is something else: it inherits nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from tests import factories
from tests.support.handlers import TemporaryHandlers
from timers.actions import parse
from timers.actions.http import HttpAction
from timers.control.nodes import drain_node
from timers.control.secrets import check_secrets, create_secret, delete_secret, limit_secret
from timers.control.subscriptions import create_subscription, delete_subscription
from timers.engine.operations import carry_out
from timers.engine.secret_values import SecretValue, read_secrets
from timers.exceptions import InvalidRequest, NotAllowedNow, TimerNotFound
from timers.executions import cancel_operation, pause_operation, resume_operation, start_operation
from timers.insights import audit, operations
from timers.insights.audit import Subject
from timers.insights.execution_group import group_of
from timers.insights.secrets import secrets
from timers.models import BulkOperation, Node, Secret, TimerGroup, Waiting
from timers.scheduling import (
    cancel_timer,
    create_calendar,
    create_group,
    delete_calendar,
    delete_group,
    fire_timer,
    schedule_fixed_rate,
    schedule_many,
    schedule_once,
    update_group,
)
from timers.security.encryption import new_key
from timers.testing import START, Stepper

ACTION = {"kind": "python", "handler": "tests.noop"}


@pytest.fixture(autouse=True)
def encrypted(group: TimerGroup) -> Iterator[None]:
    with override_settings(TIMERS={"ENCRYPTION_KEYS": new_key(START.date())}):
        yield


def recreated(name: str = "work") -> TimerGroup:
    delete_group(name, force=True)
    return create_group(name, action=ACTION)


def action(secret: str) -> HttpAction:
    found = parse({"kind": "http", "url": "https://api.example.org/", "auth": {"kind": "bearer", "secret": secret}})
    assert isinstance(found, HttpAction)
    return found


def verbs(subject: str, **more: Any) -> list[str]:
    return [entry.verb for entry in audit.find(subject=Subject.parse(subject), **more).entries]


class TestGroup:
    def test_its_audit_trail_begins_with_it(self) -> None:
        schedule_once("work", "once", after=60)
        update_group("work", description="old")
        recreated()
        assert verbs("group:work") == ["group.create"]
        assert verbs("timer:work/once") == []
        assert verbs("work/once") == []
        schedule_once("work", "once", after=60)
        assert verbs("timer:work/once") == ["timer.create"]

    def test_who_sees_the_new_one_sees_no_entry_of_the_old_one(self) -> None:
        schedule_once("work", "once", after=60)
        old = [entry.id for entry in audit.find(groups=["work"]).entries]
        recreated()
        assert [entry.verb for entry in audit.find(groups=["work"]).entries] == ["group.create"]
        assert old and all(audit.one(number, ["work"]) is None for number in old)
        assert {entry.verb for entry in audit.find().entries} >= {"group.delete", "timer.create", "group.create"}

    def test_the_trail_of_one_that_is_gone_is_found_by_its_name(self) -> None:
        update_group("work", description="old")
        delete_group("work")
        assert verbs("group:work") == ["group.delete", "group.update"]

    def test_many_timers_of_one_call_are_told_of_their_group(self) -> None:
        schedule_many([{"kind": "once", "group": "work", "name": f"t-{n}", "after": 60} for n in range(3)])
        assert audit.find(groups=["work"]).entries[0].verb == "timer.create_many"
        recreated()
        assert [entry.verb for entry in audit.find(groups=["work"]).entries] == ["group.create"]

    def test_an_operation_of_the_old_one_neither_touches_nor_shows_in_the_new_one(
        self, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        factories.waiting(factories.timer("a", in_group=TimerGroup.objects.get(name="work")), "failed")
        row = start_operation("dismiss", {"group": "work"}, groups=["work"])
        pause_operation(row.id)
        group = recreated()
        factories.waiting(factories.timer("a", in_group=group), "failed")
        assert operations.find(groups=["work"]).operations == []
        assert operations.one(row.id, ["work"]) is None
        for verb in (pause_operation, resume_operation, cancel_operation):
            with pytest.raises(TimerNotFound):
                verb(row.id, groups=["work"])
        BulkOperation.objects.update(frozen_entry=10**12)
        resume_operation(row.id)
        while carry_out() is not None:
            pass
        assert Waiting.objects.filter(group_id=group.id, state="failed").count() == 1

    def test_an_operation_over_several_groups_is_seen_by_who_sees_them_all(self) -> None:
        factories.group("other")
        row = start_operation("retry", {"all": True}, groups=["work", "other"])
        assert operations.one(row.id, ["other", "work", "more"]) is not None
        assert operations.one(row.id, ["work"]) is None

    def test_a_secret_of_the_old_one_is_not_for_the_new_one(self) -> None:
        old = TimerGroup.objects.get(name="work")
        create_secret("token", "s3cret-of-ours", groups=["work"])
        check_secrets(action("token"), "work")
        new = recreated()
        with pytest.raises(InvalidRequest, match="not for group 'work'"):
            check_secrets(action("token"), "work")
        value = read_secrets(["token"])["token"]
        assert isinstance(value, SecretValue)
        assert value.why_not_for("text", "work", old.id, "h") is None
        assert value.why_not_for("text", "work", new.id, "h") == "the secret 'token' is not for group 'work'"

    def test_a_secret_that_was_for_it_alone_is_for_none_and_can_be_granted_again(self) -> None:
        factories.group("other")
        create_secret("token", "s3cret-of-ours", groups=["work"])
        recreated()
        (view,) = secrets()
        assert (view.groups, view.all_groups) == ((), False)
        with pytest.raises(InvalidRequest, match="not for group 'other'"):
            check_secrets(action("token"), "other")
        limit_secret("token", groups=["work"])
        check_secrets(action("token"), "work")
        limit_secret("token", groups=[])
        check_secrets(action("token"), "other")
        assert secrets()[0].all_groups

    def test_a_secret_that_was_for_others_too_stays_for_these(self) -> None:
        factories.group("other")
        create_secret("token", "s3cret-of-ours", groups=["work", "other", "later"])
        recreated()
        check_secrets(action("token"), "other")
        create_group("later", action=ACTION)
        check_secrets(action("token"), "later")
        assert secrets()[0].groups == ("other", "later")
        with pytest.raises(InvalidRequest, match="not for group 'work'"):
            check_secrets(action("token"), "work")

    def test_a_secret_that_names_a_group_before_it_is_made_is_for_the_first_of_that_name(self) -> None:
        create_secret("token", "s3cret-of-ours", groups=["later"])
        check_secrets(action("token"), "later")
        create_group("later", action=ACTION)
        check_secrets(action("token"), "later")
        recreated("later")
        with pytest.raises(InvalidRequest, match="not for group 'later'"):
            check_secrets(action("token"), "later")


class TestTimer:
    def test_its_audit_trail_begins_with_it(self) -> None:
        schedule_once("work", "once", after=60, actor="ann")
        cancel_timer("work", "once")
        assert verbs("timer:work/once") == ["timer.cancel", "timer.create"]
        schedule_once("work", "once", after=60, actor="bob")
        assert verbs("timer:work/once") == ["timer.create"]

    def test_it_inherits_no_count_and_no_execution(self, node: Stepper, handlers: TemporaryHandlers) -> None:
        handlers.script("tests.noop", ValueError("down"))
        first = schedule_fixed_rate("work", "rate", period=10, overrides={"retry": {"max_retries": 0}})
        node.advance(10)
        cancel_timer("work", "rate")
        second = schedule_fixed_rate("work", "rate", period=10)
        assert (second.id == first.id, second.fire_count, second.failures_in_a_row) == (False, 0, 0)
        assert set(Waiting.objects.values_list("timer_id", flat=True)) == {first.id}


class TestCalendar:
    def test_nothing_refers_to_one_that_is_deleted_so_nothing_refers_to_its_namesake(self) -> None:
        create_calendar("night", rules=[])
        update_group("work", exclusion_calendars=["night"])
        with pytest.raises(NotAllowedNow, match="is referred to by group work"):
            delete_calendar("night")

    def test_its_audit_trail_begins_with_it(self) -> None:
        create_calendar("night", rules=[])
        delete_calendar("night")
        assert verbs("calendar:night") == ["calendar.delete", "calendar.create"]
        create_calendar("night", rules=[])
        assert verbs("calendar:night") == ["calendar.create"]


class TestSecret:
    def test_it_inherits_neither_bounds_nor_values_nor_its_audit_trail(self) -> None:
        create_secret("token", "s3cret-of-ours", groups=["work"], hosts=["api.example.org"], kind="text")
        delete_secret("token")
        create_secret("token", "another-one-of-ours")
        row = Secret.objects.get()
        assert (row.groups, row.group_ids, row.hosts, row.previous_value, row.version) == ([], [], [], None, 1)
        assert verbs("secret:token") == ["secret.create"]


class TestSubscription:
    def test_it_inherits_nothing_that_waited_for_the_old_one(self, node: Stepper, handlers: TemporaryHandlers) -> None:
        update_group("work", action=None)
        old = create_subscription("work", "mails", action={"kind": "pull"}, mode="broadcast")
        schedule_once("work", "once", after=1)
        node.time.advance(2)
        node.until_idle()
        delete_subscription("work", "mails")
        new = create_subscription("work", "mails", action={"kind": "pull"}, mode="broadcast")
        assert new.ordinal != old.ordinal
        assert not Waiting.objects.filter(subscription=new.ordinal).exists()
        assert verbs("subscription:work/mails") == ["subscription.create"]


class TestNode:
    def test_a_node_that_starts_again_inherits_no_wish(self) -> None:
        factories.node("node-a")
        drain_node("node-a")
        Node.objects.update(state="stopped")
        assert factories.node("node-a").wish == ""


def test_a_run_of_the_old_timer_is_none_of_the_new_group(node: Stepper, handlers: TemporaryHandlers) -> None:
    schedule_once("work", "once", after=3600)
    execution = fire_timer("work", "once")
    node.advance(1)
    assert group_of(execution) == "work"
    recreated()
    assert group_of(execution) == ""
