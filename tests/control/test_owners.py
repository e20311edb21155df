"""Owners: several programs declare timers on one database, and each reconciles only its own."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from tests import factories
from timers import conf
from timers.control.declaration import CODE, Declaration, Declared
from timers.control.sync import reconcile
from timers.control.sync_report import Entry, Reconciled
from timers.models import AuditEntry, Timer
from timers.scheduling import cancel_timer, delete_group, get_timer, pause_timer, schedule_fixed_rate
from timers.testing import Stepper

RATE = {"kind": "fixed_rate", "group": "work", "name": "rate", "period": 600}
NIGHTLY = {"kind": "cron", "group": "work", "name": "nightly", "expression": "30 2 * * *"}

pytestmark = pytest.mark.usefixtures("group")


def sync(*timers: dict[str, Any], owner: str | None = None, source: str = CODE, **more: Any) -> Reconciled:
    return reconcile(Declared(source, [Declaration(each, "app.handlers") for each in timers]), owner=owner, **more)


def names(entries: tuple[Entry, ...]) -> list[str]:
    return [str(entry) for entry in entries]


@pytest.mark.parametrize("source", [CODE, "file:timers.yaml"])
def test_a_program_that_starts_leaves_the_timers_of_another(source: str) -> None:
    sync(RATE, owner="shop", source=source)
    report = sync(NIGHTLY, owner="billing", source=source)
    assert (names(report.created), report.paused, report.kept, report.conflicts) == (["work/nightly"], (), (), ())
    assert get_timer("work", "rate").state == "active"
    assert sync(RATE, owner="shop", source=source) == Reconciled(source, unchanged=1)
    assert dict(Timer.objects.values_list("name", "owner")) == {"rate": "shop", "nightly": "billing"}


def test_a_program_pauses_its_own_timer_that_it_no_longer_declares() -> None:
    sync(RATE, NIGHTLY, owner="shop")
    sync({**RATE, "name": "other"}, owner="billing")
    assert names(sync(RATE, owner="shop").paused) == ["work/nightly"]
    assert get_timer("work", "other").state == "active"


def test_a_name_that_two_programs_declare_is_a_conflict_that_names_both() -> None:
    sync(RATE, owner="shop")
    report = sync({**RATE, "period": 5}, owner="billing")
    (entry,) = report.conflicts
    assert str(entry) == "work/rate"
    assert (
        entry.why == "a timer of that name exists, which is declared in code of the program 'shop'; this is 'billing'"
    )
    assert (get_timer("work", "rate").schedule["period"], report.wrote) == (600, False)


def test_a_timer_without_an_owner_becomes_that_of_the_first_program_that_declares_it() -> None:
    sync(RATE, NIGHTLY, owner="shop")
    Timer.objects.update(owner="")
    entries = AuditEntry.objects.count()
    report = sync(RATE, owner="billing")
    assert (report.unchanged, report.paused) == (1, ())
    (left,) = report.kept
    assert (str(left), left.why) == (
        "work/nightly",
        "no longer declared in code, but it has no owner: pause or cancel it",
    )
    assert names(sync(RATE, NIGHTLY, owner="shop").conflicts) == ["work/rate"]
    assert dict(Timer.objects.values_list("name", "owner")) == {"rate": "billing", "nightly": "shop"}
    assert AuditEntry.objects.count() == entries


def test_an_adopted_timer_is_paused_by_its_owner_once_it_is_no_longer_declared() -> None:
    sync(RATE, NIGHTLY, owner="")
    sync(RATE, NIGHTLY, owner="shop")
    assert names(sync(RATE, owner="shop").paused) == ["work/nightly"]


def test_a_dry_run_adopts_nothing() -> None:
    sync(RATE, owner="")
    sync(RATE, owner="shop", dry_run=True)
    assert get_timer("work", "rate").owner == ""


def test_a_program_under_another_name_takes_its_timers_with_it() -> None:
    sync(RATE, NIGHTLY, owner="shop")
    report = sync(RATE, owner="store", take_over="shop")
    assert (names(report.paused), report.conflicts, get_timer("work", "rate").owner) == (["work/nightly"], (), "store")


def test_the_name_of_an_ended_timer_of_one_program_is_free_for_another() -> None:
    sync(RATE, owner="shop")
    cancel_timer("work", "rate")
    assert names(sync(RATE, owner="billing").created) == ["work/rate"]
    assert [entry.why for entry in sync(RATE, owner="shop").conflicts] == [
        "a timer of that name exists, which is declared in code of the program 'billing'; this is 'shop'"
    ]


def test_a_group_recreated_belongs_to_whoever_declares_its_timers_then() -> None:
    sync(RATE, owner="shop")
    delete_group("work", force=True)
    factories.group("work")
    assert names(sync(RATE, owner="billing").created) == ["work/rate"]


def test_a_timer_that_nobody_declared_has_no_owner(node: Stepper) -> None:
    schedule_fixed_rate("work", "rate", period=600)
    assert Timer.objects.get().owner == ""


def test_owner_stays_when_the_timer_is_replaced_by_hand() -> None:
    sync(RATE, owner="shop")
    pause_timer("work", "rate")
    schedule_fixed_rate("work", "rate", period=600, start_at=get_timer("work", "rate").start_at, on_conflict="replace")
    assert get_timer("work", "rate").owner == "shop"
    schedule_fixed_rate("work", "rate", period=7, on_conflict="replace")
    assert (get_timer("work", "rate").owner, get_timer("work", "rate").source) == ("shop", CODE)


def test_the_owner_is_the_django_projects_name_unless_it_is_set() -> None:
    assert conf.current().declaration_owner == "timerproject"
    sync(RATE)
    assert get_timer("work", "rate").owner == "timerproject"
    with override_settings(TIMERS={"DECLARATION_OWNER": "billing"}):
        assert names(sync(RATE).conflicts) == ["work/rate"]
    with override_settings(ROOT_URLCONF="shop.urls", TIMERS={}):
        assert conf.current().declaration_owner == "shop"
    with override_settings(ROOT_URLCONF=None, WSGI_APPLICATION="store.wsgi.application", TIMERS={}):
        assert conf.current().declaration_owner == "store"
