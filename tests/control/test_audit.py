from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import override_settings

from tests import factories
from tests.control.chain_verbs import CHAIN_VERBS
from tests.control.offered import public_functions
from tests.control.verbs import VERBS
from tests.support.handlers import TemporaryHandlers
from timers import conf
from timers.control.secrets import create_secret, encrypt_anew, replace_secret
from timers.engine.prune import prune
from timers.exceptions import InvalidRequest, TimersError
from timers.insights import audit
from timers.insights.audit import Subject
from timers.models import AuditEntry, Secret, TimerGroup
from timers.scheduling import (
    create_group,
    ensure_group,
    fire_timer,
    pause_group,
    pause_timer,
    resume_timer,
    schedule_many,
    schedule_once,
    update_timer,
)
from timers.security.current_actor import acting_as
from timers.security.encryption import new_key
from timers.testing import START, Stepper, VirtualTime

OTHERS = {"secrets.encrypt_anew"}
"""Verbs that have a test of their own below."""

EVERY_VERB = VERBS | CHAIN_VERBS


@pytest.fixture(autouse=True)
def frozen(time: VirtualTime, handlers: TemporaryHandlers) -> Iterator[None]:
    with override_settings(TIMERS={"ENCRYPTION_KEYS": new_key(START.date())}):
        yield


def entries() -> list[AuditEntry]:
    return list(AuditEntry.objects.order_by("id"))


def one_entry() -> AuditEntry:
    (entry,) = entries()
    return entry


def test_every_verb_is_known_to_the_test_below() -> None:
    assert set(public_functions()) == set(VERBS) | OTHERS


def test_every_verb_begins_with_a_kind_of_subject() -> None:
    assert {verb.entry.partition(".")[0] for verb in EVERY_VERB.values()} == set(audit.KINDS)


@pytest.mark.parametrize("name", EVERY_VERB)
def test_a_verb_leaves_exactly_one_entry_and_none_when_it_is_rolled_back(name: str) -> None:
    verb = EVERY_VERB[name]
    prepared = verb.prepare()
    before = AuditEntry.objects.count()
    with transaction.atomic():
        verb.ask(prepared, "ann")
        transaction.set_rollback(True)
    assert AuditEntry.objects.count() == before
    with acting_as("somebody else", key_id=7, address="192.0.2.7", request_id="r-1"):
        verb.ask(prepared, "ann")
    entry, *more = entries()[before:]
    assert not more
    assert (entry.verb, entry.actor) == (verb.entry, "ann")
    assert entry.subject == verb.subject or entry.subject.startswith(
        verb.subject if verb.subject.endswith("/") else f"{verb.subject} "
    )
    assert (entry.key_id, entry.address, entry.request_id, entry.at) == (7, "192.0.2.7", "r-1", START)
    assert entry.before or entry.after


def test_secrets_that_are_encrypted_anew_are_told_in_one_entry(group: TimerGroup) -> None:
    create_secret("token", "s3cret-of-ours")
    old = conf.current().encryption_keys
    with override_settings(TIMERS={"ENCRYPTION_KEYS": f"{new_key(START.date() + timedelta(1))},{old}"}):
        assert encrypt_anew(actor="ann") == 1
        assert encrypt_anew(actor="ann") == 0
    entry = entries()[-1]
    assert (len(entries()), entry.verb) == (2, "secret.encrypt_anew")
    assert (entry.after["secrets"], entry.after["first_secrets"]) == (1, ["token"])


def test_no_entry_holds_a_secret_value_or_a_payload(group: TimerGroup) -> None:
    create_secret("token", "s3cret-of-ours")
    replace_secret("token", "s3cret-of-theirs")
    schedule_once("work", "once", after=60, payload={"iban": "DE02120300000000202051"})
    update_timer("work", "once", payload={"iban": "DE02500105170137075030"})
    fire_timer("work", "once", payload=["DE02500105170137075030"])
    row = Secret.objects.get()
    told = json.dumps([[entry.before, entry.after] for entry in entries()])
    assert len(entries()) == 5
    for hidden in ("s3cret", "DE02", bytes(row.value).hex(), str(bytes(row.value))):
        assert hidden not in told
    assert entries()[1].before["value"] == entries()[1].after["value"] == "***"


def test_an_edit_is_told_by_what_changed_as_it_was_and_as_it_is(group: TimerGroup) -> None:
    schedule_once("work", "once", after=60, payload={"n": 1}, description="old", tags=["a"])
    update_timer("work", "once", payload={"n": 2}, description="new", actor="ann")
    made, entry = entries()
    assert made.after["description"] == "old"
    assert made.after["payload"]["bytes"] == len('{"n":1}')
    assert set(entry.before) == set(entry.after) == {"description", "payload"}
    assert (entry.before["description"], entry.after["description"]) == ("old", "new")
    assert entry.before["payload"] == made.after["payload"] != entry.after["payload"]


def test_a_timer_that_takes_the_place_of_another_is_told_by_the_difference(group: TimerGroup) -> None:
    schedule_once("work", "once", at="2030-01-01T00:00:00Z", payload={"n": 1}, tags=["a"])
    schedule_once("work", "once", at="2030-01-01T00:00:00Z", payload={"n": 1}, tags=["b"], on_conflict="replace")
    entry = entries()[-1]
    assert (entry.verb, entry.before, entry.after) == ("timer.replace", {"tags": ["a"]}, {"tags": ["b"]})


def test_a_timer_that_is_kept_leaves_no_entry(group: TimerGroup) -> None:
    schedule_once("work", "once", after=60)
    schedule_once("work", "once", after=90, on_conflict="keep")
    with pytest.raises(InvalidRequest):
        schedule_once("work", "once", after=90)
    assert one_entry().verb == "timer.create"


def test_many_timers_of_one_call_leave_one_entry(group: TimerGroup) -> None:
    request = {"kind": "once", "group": "work", "after": 60}
    schedule_many([{**request, "name": f"t-{number:03}"} for number in range(30)], actor="ann")
    entry = one_entry()
    assert (entry.verb, entry.actor, entry.subject_group, entry.subject_name) == (
        "timer.create_many",
        "ann",
        "work",
        "",
    )
    assert (entry.after["created"], entry.after["replaced"]) == (30, 0)
    assert entry.after["first"] == [f"t-{number:03}" for number in range(20)]


def test_what_changes_nothing_leaves_no_entry(group: TimerGroup) -> None:
    schedule_once("work", "once", after=60)
    resume_timer("work", "once")
    ensure_group("work")
    pause_timer("work", "once")
    pause_timer("work", "once")
    assert [entry.verb for entry in entries()] == ["timer.create", "timer.pause"]


def test_what_is_refused_leaves_no_entry(group: TimerGroup) -> None:
    schedule_once("work", "once", after=60)
    for refused in (
        lambda: update_timer("work", "once", jitter=-1),
        lambda: pause_timer("work", "none"),
        lambda: create_group("work"),
        lambda: schedule_once("work", "twice", after=-1),
    ):
        with pytest.raises(TimersError):
            refused()
    assert one_entry().verb == "timer.create"


def test_what_the_engine_does_by_itself_leaves_no_entry(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", ValueError("down"))
    schedule_once("work", "once", after=1)
    pause_timer("work", "once", until=START + timedelta(seconds=30))
    node.play(seconds=3000, every=10)
    assert [entry.verb for entry in entries()] == ["timer.create", "timer.pause"]


def test_who_asks_comes_from_the_face_where_the_call_names_nobody(group: TimerGroup) -> None:
    with acting_as(lambda: "olga", address="192.0.2.7"):
        schedule_once("work", "once", after=60)
        pause_timer("work", "once")
    resume_timer("work", "once")
    assert [(entry.actor, entry.address) for entry in entries()] == [
        ("olga", "192.0.2.7"), ("olga", "192.0.2.7"), ("", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE timers_audit_entry SET actor = 'nobody'",
        "UPDATE timers_audit_entry SET actor = 'nobody' WHERE false",
        "DELETE FROM timers_audit_entry",
    ],
)
def test_the_database_refuses_to_change_or_delete_entries(group: TimerGroup, statement: str) -> None:
    schedule_once("work", "once", after=60)
    with pytest.raises(DatabaseError, match="only added to"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    with pytest.raises(DatabaseError, match="only added to"), transaction.atomic():
        AuditEntry.objects.all().delete()
    assert one_entry().verb == "timer.create"


def test_housekeeping_drops_what_is_past_retention_and_nothing_else(group: TimerGroup, time: VirtualTime) -> None:
    schedule_once("work", "old", after=60)
    time.advance(days=2)
    schedule_once("work", "new", after=60)
    with override_settings(TIMERS={"AUDIT_RETENTION": 1}):
        prune(conf.current())
    assert one_entry().subject_name == "new"
    with pytest.raises(DatabaseError, match="only added to"), transaction.atomic():
        AuditEntry.objects.all().delete()


@pytest.mark.parametrize(("seconds", "left"), [(60.0, 1), (0.0, 4)])
def test_a_pass_drops_entries_in_steps_and_leaves_what_takes_too_long_to_the_next(
    group: TimerGroup, time: VirtualTime, monkeypatch: pytest.MonkeyPatch, seconds: float, left: int
) -> None:
    monkeypatch.setattr("timers.engine.prune.AUDIT_STEP", 2)
    monkeypatch.setattr("timers.engine.prune.AUDIT_SECONDS", seconds)
    for number in range(5):
        schedule_once("work", f"old-{number}", after=60)
    time.advance(days=2)
    schedule_once("work", "new", after=60)
    with override_settings(TIMERS={"AUDIT_RETENTION": 1}):
        prune(conf.current())
    assert [entry.subject_name for entry in entries()] == ["old-2", "old-3", "old-4", "new"][-left:]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["group.pause work", "timer.pause work/b", "timer.create work/b", "timer.create other/a"]),
        ({"actor": "ann"}, ["timer.pause work/b"]),
        ({"verb": "timer.create"}, ["timer.create work/b", "timer.create other/a"]),
        ({"subject": "timer"}, ["timer.pause work/b", "timer.create work/b", "timer.create other/a"]),
        ({"subject": "timer:work/b"}, ["timer.pause work/b", "timer.create work/b"]),
        ({"subject": "work/b"}, ["timer.pause work/b", "timer.create work/b"]),
        ({"subject": "group:work"}, ["group.pause work"]),
        ({"since": START + timedelta(seconds=2)}, ["group.pause work", "timer.pause work/b"]),
        ({"until": START + timedelta(seconds=2)}, ["timer.create work/b", "timer.create other/a"]),
        ({"groups": {"other"}}, ["timer.create other/a"]),
        ({"groups": set()}, []),
    ],
)
def test_the_trail_is_asked_by_conditions_that_all_hold(
    group: TimerGroup, time: VirtualTime, asked: dict[str, Any], found: list[str]
) -> None:
    factories.group("other")
    schedule_once("other", "a", after=60)
    time.advance(1)
    schedule_once("work", "b", after=60)
    time.advance(1)
    pause_timer("work", "b", actor="ann")
    pause_group("work")
    if "subject" in asked:
        asked = {**asked, "subject": Subject.parse(asked["subject"])}
    told = [f"{entry.verb} {entry.subject.partition(' ')[2]}" for entry in audit.find(**asked).entries]
    assert told == found


def test_the_trail_is_read_page_by_page_even_where_all_was_done_at_one_instant(group: TimerGroup) -> None:
    for number in range(5):
        schedule_once("work", f"t-{number}", after=60)
    seen, before = [], None
    while True:
        page = audit.find(before=before, limit=2)
        seen += [entry.subject_name for entry in page.entries]
        before = page.next
        if before is None:
            break
    assert seen == [f"t-{number}" for number in reversed(range(5))]


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("timer", Subject("timer")),
        ("timer:work/a/b", Subject("timer", "work", "a/b")),
        ("timer:work/a:b", Subject("timer", "work", "a:b")),
        ("work/a:b", Subject("", "work", "a:b")),
        ("key:sender", Subject("key", "", "sender")),
        ("group:work", Subject("group", "work", "work")),
    ],
)
def test_a_subject_is_read(text: str, subject: Subject) -> None:
    assert Subject.parse(text) == subject


@pytest.mark.parametrize(
    ("text", "hint"),
    [("bogus", "known are timer, execution"), ("tmer:work/a", "did you mean timer?"), ("bogus:", "known are")],
)
def test_a_subject_of_a_kind_that_there_is_none_of_is_refused(text: str, hint: str) -> None:
    with pytest.raises(InvalidRequest, match=f"subject: is of an unknown kind; {hint}"):
        Subject.parse(text)
