"""Edits: what is not named stays as it was, derived state included, and the same definition changes nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import override_settings

from tests import factories
from tests.control.edited_timers import (
    DAY,
    HOUR,
    JITTER,
    KINDS,
    NAME,
    SECOND,
    SHARE,
    SPREAD,
    derived,
    instants,
    redefined,
    schedule,
)
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of
from timers.control import groups, keys, secrets, subscriptions
from timers.control.calendars import create_calendar, update_calendar
from timers.control.declaration import Declaration, Declared
from timers.control.sync import reconcile
from timers.exceptions import InvalidRequest
from timers.models import AuditEntry, Timer, TimerGroup
from timers.scheduling import (
    get_timer,
    pause_group,
    pause_timer,
    resume_group,
    schedule_cron,
    schedule_fixed_delay,
    schedule_fixed_rate,
    schedule_many,
    schedule_timer,
    update_group,
    update_timer,
)
from timers.security.encryption import new_key
from timers.testing import START, Stepper, VirtualTime

UNRELATED: list[dict[str, Any]] = [
    {"payload": {"n": 2}},
    {"priority": 3},
    {"tags": ["b"]},
    {"description": "other"},
    {"max_fires": 1000},
    {"end_at": START + 30 * DAY},
    {"overrides": {"misfire_grace": 50, "retry": {"max_retries": 7}}},
    {"handler": "tests.noop"},
]


class TestUnrelatedFields:
    @pytest.mark.parametrize("edit", UNRELATED, ids=lambda edit: next(iter(edit)))
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("by", ["update", "replace"])
    def test_an_edit_of_another_field_leaves_the_derived_state_as_it_is(
        self, kind: str, edit: dict[str, Any], by: str, group: TimerGroup, node: Stepper
    ) -> None:
        timer = schedule(kind, jitter=JITTER if kind in SPREAD else 0)
        rnd = random.Random(f"{kind} {edit}")
        node.advance(rnd.uniform(0, 2500))
        node.time.advance(rnd.uniform(0, 1200))  # what has come meanwhile is due, and not fired
        before = derived(timer)
        if before["state"] == "finished":
            pytest.skip("a one-shot that has fired cannot be edited, only scheduled again")
        if by == "update":
            update_timer("work", NAME, **edit)
        else:
            redefined(kind, jitter=JITTER if kind in SPREAD else 0, **edit)
        assert derived(timer) == before

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("seed", range(3))
    def test_a_timer_that_is_edited_often_fires_like_its_twin_that_is_not(
        self, kind: str, seed: int, group: TimerGroup, node: Stepper
    ) -> None:
        if kind == "cron with H":
            pytest.skip("H is another minute in another group")
        factories.group("twin")
        jitter = JITTER if kind in SPREAD else 0
        edited, twin = schedule(kind, jitter=jitter), schedule(kind, group="twin", jitter=jitter)
        rnd = random.Random(f"{kind} {seed}")
        for number in range(12):
            node.advance(rnd.uniform(0, 900))
            if Timer.objects.get(id=edited.id).state == "active":
                edit = {**rnd.choice(UNRELATED), "description": str(number)}
                if rnd.random() < 0.5:
                    update_timer("work", NAME, **edit)
                else:
                    redefined(kind, jitter=jitter, **edit)
        node.advance(900)
        assert instants(edited) == instants(twin)
        assert instants(edited)


class TestTheSameDefinition:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("by", ["update", "replace", "replace in bulk"])
    def test_the_same_definition_writes_nothing(
        self, kind: str, by: str, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        more: dict[str, Any] = {
            "payload": {"n": 1.0, "m": [True, None]},
            "tags": ["a"],
            "overrides": {"misfire_grace": 5},
        }
        timer = schedule(kind, **more)
        node.advance(1500)
        if Timer.objects.get(id=timer.id).state == "finished":
            timer = schedule(kind, at=START + 10 * HOUR, **more)
        request = {**KINDS[kind], **more, "group": "work", "name": NAME}
        if kind == "once":
            request["at"] = Timer.objects.get(id=timer.id).schedule["at"]
        before, entries = Timer.objects.filter(id=timer.id).values().get(), AuditEntry.objects.count()
        if by == "update":
            update_timer("work", NAME, **{word: request[word] for word in request if word not in ("group", "name")})
        elif by == "replace":
            assert schedule_timer(request, on_conflict="replace").id == timer.id
        else:
            assert [each.id for each in schedule_many([request], on_conflict="replace")] == [timer.id]
        assert Timer.objects.filter(id=timer.id).values().get() == before
        assert AuditEntry.objects.count() == entries

    def test_a_daily_rate_that_is_replaced_at_each_twelve_hour_deploy_fires_daily(
        self, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        timer = schedule_fixed_rate("work", NAME, period=86_400, payload={"release": 0})
        for number in range(20):
            node.advance(hours=12)
            payload = {"release": number // 3}
            schedule_fixed_rate("work", NAME, period=86_400, payload=payload, on_conflict="replace")
        assert instants(timer) == [START + n * DAY for n in range(1, 11)]

    def test_a_fixed_delay_that_is_replaced_before_it_is_due_is_due_all_the_same(
        self, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        timer = schedule_fixed_delay("work", NAME, delay=100)
        for number in range(10):
            node.advance(50)
            schedule_fixed_delay("work", NAME, delay=100, payload=number, on_conflict="replace")
        assert len(instants(timer)) == 5

    def test_a_replaced_timer_stays_paused_and_keeps_its_counts(
        self, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        timer = schedule("rate", max_fires=9)
        node.advance(1500)
        pause_timer("work", NAME, reason="tea")
        assert redefined("rate", max_fires=9, payload=2) == "replaced"
        timer.refresh_from_db()
        assert (timer.state, timer.state_reason, timer.fire_count, timer.payload) == ("paused", "tea", 2, 2)

    def test_a_message_that_is_being_shown_is_not_shown_again_by_the_same_definition(
        self, group: TimerGroup, node: Stepper
    ) -> None:
        request = {"kind": "fixed_rate", "group": "work", "name": NAME, "period": 100, "until_committed": True}
        schedule_timer(request)
        node.time.advance(100)
        node.claim()
        schedule_timer(request, on_conflict="replace")
        row = get_timer("work", NAME)
        assert (row.next_fire_at, row.open_execution is None) == (None, False)

    def test_a_bulk_replace_takes_over_only_what_differs(self, group: TimerGroup) -> None:
        requests: list[dict[str, Any]] = [
            {"kind": "fixed_rate", "group": "work", "name": f"t-{n}", "period": 60} for n in range(4)
        ]
        schedule_many(requests[:3])
        requests[1] = {**requests[1], "payload": 1}
        answers = schedule_many(requests, on_conflict="replace")
        assert [answer.result for answer in answers] == ["replaced", "replaced", "replaced", "created"]
        rows = Timer.objects.order_by("name").values_list("name", "version", "payload")
        assert list(rows) == [("t-0", 1, None), ("t-1", 2, 1), ("t-2", 1, None), ("t-3", 1, None)]
        entry = AuditEntry.objects.latest("id")
        assert (entry.verb, entry.after["created"], entry.after["replaced"]) == ("timer.create_many", 1, 1)

    def test_a_group_a_calendar_a_subscription_a_key_and_a_secret_that_stay_the_same_write_nothing(
        self, group: TimerGroup
    ) -> None:
        alice = User.objects.create_user("alice", is_superuser=True)
        create_calendar("night", rules=[{"weekdays": ["sat"]}])
        subscriptions.create_subscription("work", "mails", action={"handler": "tests.noop"})
        key, _ = keys.create_key("sender", user=alice, scopes=["read"], groups=["work"])
        update_group("work", misfire_policy="skip", retry={"max_retries": 2}, description="x")
        entries, versions = AuditEntry.objects.count(), Timer.objects.count()
        group.refresh_from_db()
        held = group.version
        assert update_group("work", misfire_policy="skip", retry={"max_retries": 2}, description="x").version == held
        assert resume_group("work").version == held
        assert update_calendar("night", rules=[{"weekdays": ["sat"]}]).version == 1
        same = subscriptions.update_subscription("work", "mails", action={"handler": "tests.noop"})
        assert same.version == 1
        assert keys.update_key(key.public_id, scopes=["read"], groups=["work"]).version == 1
        assert (AuditEntry.objects.count(), Timer.objects.count()) == (entries, versions)

    def test_a_group_that_is_paused_again_until_the_same_instant_writes_nothing(self, group: TimerGroup) -> None:
        version = pause_group("work", until=START + HOUR).version
        assert pause_group("work", until=START + HOUR).version == version
        assert pause_group("work", until=START + 2 * HOUR).version == version + 1


class TestDeclared:
    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "rrule"])
    def test_a_deploy_that_changes_another_field_moves_nothing(
        self, kind: str, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        def deploy(name: str, **more: Any) -> None:
            keywords = {**KINDS[kind], "group": "work", "name": name, **more}
            reconcile(Declared("file:" + name, [Declaration(keywords, "timers.yaml")]))

        deploy(NAME)
        timer = Timer.objects.get()
        due = derived(timer)["next_fire_at"]
        for number in range(6):
            deploy(NAME, payload=number, description=str(number))
            assert derived(timer)["next_fire_at"] == due
        node.advance(2500)
        before = derived(timer)
        if before["state"] == "active":
            deploy(NAME, payload="later")
            assert derived(timer) == before


class TestJitter:
    @pytest.mark.parametrize(
        "edit",
        [
            lambda: update_timer("work", NAME, expression="0 13-23 * * *"),
            lambda: schedule_cron("work", NAME, expression="0 13-23 * * *", jitter=JITTER, on_conflict="replace"),
            lambda: update_timer("work", NAME, expression="0 * * * *"),
            lambda: update_timer("work", NAME, expression="0 13-23 * * *", time_zone="Europe/Berlin"),
        ],
        ids=["the same rule", "replaced by the same", "another rule that has the instant", "another zone"],
    )
    def test_an_instant_that_waits_for_its_share_runs_after_an_edit(
        self, edit: Callable[[], object], group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        timer = schedule_cron("work", NAME, expression="0 13-23 * * *", jitter=JITTER)
        node.live_until(START + HOUR + SHARE / 2)
        edit()
        node.advance(hours=1)
        assert instants(timer) == [START + HOUR]

    def test_an_instant_that_waits_for_its_share_is_recorded_where_the_new_rule_does_not_have_it(
        self, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        timer = schedule_cron("work", NAME, expression="0 13-23 * * *", jitter=JITTER)
        node.live_until(START + HOUR + SHARE / 2)
        update_timer("work", NAME, expression="30 14 * * *")
        assert [(row.scheduled_for, row.reason) for row in finals_of(timer)] == [(START + HOUR, "edited")]

    def test_what_a_rule_replaced_in_place_gives_up_is_recorded(self, group: TimerGroup, node: Stepper) -> None:
        timer = schedule_fixed_rate("work", NAME, period=10)
        node.time.advance(45)
        schedule_fixed_rate("work", NAME, period=100, on_conflict="replace")
        (row,) = finals_of(timer)
        assert (row.outcome, row.reason, row.missed_count) == ("skipped", "edited", 3)

    def test_what_a_paused_timer_gives_up_by_another_rule_is_recorded(self, group: TimerGroup, node: Stepper) -> None:
        timer = schedule_fixed_rate("work", NAME, period=10)
        pause_timer("work", NAME)
        node.time.advance(25)
        update_timer("work", NAME, period=100)
        assert [(row.reason, row.missed_count) for row in finals_of(timer)] == [("edited", 1)]

    def test_a_change_of_the_jitter_keeps_the_nominal_instant(self, group: TimerGroup) -> None:
        timer = schedule("rate", jitter=JITTER)
        changed = update_timer("work", NAME, jitter=JITTER / 2)
        assert changed.next_fire_at is not None and timer.next_fire_at is not None
        assert changed.next_fire_at - changed.offset == timer.next_fire_at - timer.offset

    def test_a_calendar_change_leaves_an_instant_that_waits_for_its_share(
        self, group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
    ) -> None:
        create_calendar("night", rules=[])
        update_group("work", exclusion_calendars=["night"], on_excluded="after")
        timer = schedule_cron("work", NAME, expression="0 13-23 * * *", jitter=JITTER)
        node.live_until(START + HOUR + SHARE / 2)
        update_calendar("night", rules=[{"cron": "0 15 * * *", "duration": "PT1H"}])
        node.advance(hours=1)
        assert instants(timer) == [START + HOUR]


def test_a_secret_that_is_limited_as_it_was_writes_nothing(time: VirtualTime) -> None:
    with override_settings(TIMERS={"ENCRYPTION_KEYS": new_key(START.date())}):
        secrets.create_secret("token", "s3cret-of-ours", hosts=["api.example.org"])
        entries = AuditEntry.objects.count()
        secrets.limit_secret("token", hosts=["api.example.org"])
    assert AuditEntry.objects.count() == entries


def test_the_pause_of_a_group_and_its_end_keep_the_instants(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = schedule("rate")
    pause_group("work")
    update_timer("work", NAME, payload=1)
    groups.resume_group("work")
    node.advance(1500)
    assert instants(timer) == [START + 700 * SECOND, START + 1400 * SECOND]


@pytest.mark.parametrize(
    ("request_", "edit"),
    [
        ({"kind": "fixed_rate", "period": 1}, {"period": 1}),
        ({"kind": "fixed_rate", "period": 1}, {"kind": "fixed_rate", "period": "PT1S"}),
        ({"kind": "fixed_rate", "period": 1, "start_at": START}, {"period": 1, "start_at": START}),
        ({"kind": "rrule", "rule": "FREQ=SECONDLY"}, {"rule": "FREQ=SECONDLY"}),
        ({"kind": "cron", "expression": "* * * * * *"}, {"expression": "* * * * * *"}),
        ({"kind": "fixed_delay", "delay": 1}, {"delay": 1}),
        ({"kind": "once", "at": START + SECOND}, {"at": START + SECOND}),
    ],
    ids="-".join,
)
def test_rule_given_as_it_is_leaves_a_finished_timer_finished(
    node: Stepper, handlers: TemporaryHandlers, request_: dict[str, Any], edit: dict[str, Any]
) -> None:
    factories.group("work")
    most = {} if request_["kind"] == "once" else {"max_fires": 2}
    schedule_timer({"group": "work", "name": "ended", **most, **request_})
    node.advance(10)
    before = get_timer("work", "ended")
    assert before.state == "finished"
    update_timer("work", "ended", **edit)
    after = get_timer("work", "ended")
    assert (after.state, after.version, after.fire_count) == ("finished", before.version, before.fire_count)


def test_another_rule_begins_a_finished_rate_again_from_now(node: Stepper, handlers: TemporaryHandlers) -> None:
    factories.group("work")
    schedule_fixed_rate("work", "ended", period=10, max_fires=1)
    node.advance(13)
    after = update_timer("work", "ended", period=20)
    assert (after.state, after.fire_count, after.next_fire_at) == ("active", 0, node.time.now + 20 * SECOND)


class TestStartOfAOneShot:
    def test_start_after_its_fire_is_refused(self, node: Stepper, handlers: TemporaryHandlers) -> None:
        factories.group("work")
        given = {"kind": "once", "group": "work", "name": "early", "after": 1, "start_at": START + HOUR}
        with pytest.raises(InvalidRequest, match="start_at: is after the only fire"):
            schedule_timer(given)

    def test_later_start_of_a_pending_one_is_refused(self, node: Stepper, handlers: TemporaryHandlers) -> None:
        factories.group("work")
        schedule_timer({"kind": "once", "group": "work", "name": "early", "after": 5})
        with pytest.raises(InvalidRequest, match="start_at: is after the only fire"):
            update_timer("work", "early", start_at=START + HOUR)
        assert get_timer("work", "early").start_at is None

    def test_start_at_the_fire_or_before_it_is_kept(self, node: Stepper, handlers: TemporaryHandlers) -> None:
        factories.group("work")
        at = START + 5 * SECOND
        for name, start in {"at": at, "before": START}.items():
            schedule_timer({"kind": "once", "group": "work", "name": name, "at": at, "start_at": start})
        node.advance(5)
        assert {get_timer("work", name).state for name in ("at", "before")} == {"finished"}
