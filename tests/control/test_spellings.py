"""A schedule that is only spelled otherwise: no edit, no replacement and no reconcile takes it for another."""

from __future__ import annotations

from typing import Any

import pytest

from tests.control.edited_timers import NAME, derived
from tests.support.handlers import TemporaryHandlers
from timers.control.declaration import Declaration, Declared
from timers.control.sync import reconcile
from timers.control.sync_report import Reconciled
from timers.models import AuditEntry, Timer, TimerGroup
from timers.scheduling import schedule_many, schedule_timer, update_timer
from timers.testing import Stepper

RULE = {"kind": "rrule", "start_at": "2027-03-01T12:00:00Z"}
SPELLINGS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"expression": "*/7 * * * mon"}, {"expression": "*/7 * * * 1"}),
    ({"expression": "@hourly"}, {"expression": "0 * * * *"}),
    ({"expression": "H/13 * * * *"}, {"expression": "h/13  * * * *"}),
    ({"kind": "calendar", "hour": "*", "minute": "0,30", "day_of_week": "Mon,Tue"},
     {"kind": "calendar", "hour": "*", "minute": "30,0", "day_of_week": "1,2"}),
    ({"kind": "calendar", "hour": "*", "month": "Jan-Apr"}, {"kind": "calendar", "hour": "*", "month": "1,2,3,4"}),
    ({"kind": "window", "begin": "12:00", "end": "17:00", "every": 600},
     {"kind": "window", "begin": "12:00", "end": "16:55", "every": "PT10M"}),
    ({**RULE, "rule": "FREQ=MINUTELY;INTERVAL=8;BYDAY=MO,TU"},
     {**RULE, "rule": "BYDAY=TU,MO;INTERVAL=8;FREQ=MINUTELY"}),
    ({"period": 420}, {"period": "PT7M"}),
    ({"delay": 420}, {"delay": "PT420S"}),
]  # fmt: skip


def ids(keywords: dict[str, Any]) -> str:
    return str({word: value for word, value in keywords.items() if word not in ("kind", "start_at")})


def request(keywords: dict[str, Any], **more: Any) -> dict[str, Any]:
    kinds = {"expression": "cron", "period": "fixed_rate", "delay": "fixed_delay"}
    kind = keywords.get("kind") or kinds[next(iter(keywords))]
    return {"kind": kind, **keywords, **more, "group": "work", "name": NAME}


def everything(timer: Timer) -> dict[str, Any]:
    row: dict[str, Any] = Timer.objects.filter(id=timer.id).values().get()
    return row


def sync(keywords: dict[str, Any], **more: Any) -> Reconciled:
    declaration = Declaration({**request(keywords), "handler": "tests.noop", **more}, "orders.handlers.send")
    return reconcile(Declared("code", [declaration]))


@pytest.mark.parametrize(("before", "after"), SPELLINGS, ids=ids)
@pytest.mark.parametrize("by", ["update", "replace", "replace in bulk"])
def test_another_spelling_writes_nothing(
    by: str, before: dict[str, Any], after: dict[str, Any],
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers,
) -> None:  # fmt: skip
    timer = Timer.objects.get(id=schedule_timer(request(before)).id)
    node.advance(1500)
    held, entries = everything(timer), AuditEntry.objects.count()
    if by == "update":
        update_timer("work", NAME, **after)
    elif by == "replace":
        schedule_timer(request(after), on_conflict="replace")
    else:
        schedule_many([request(after)], on_conflict="replace")
    assert everything(timer) == held
    assert AuditEntry.objects.count() == entries


@pytest.mark.parametrize(("before", "after"), SPELLINGS, ids=ids)
@pytest.mark.parametrize("by", ["update", "replace"])
def test_another_spelling_is_stored_with_the_next_edit_and_moves_no_instant(
    by: str, before: dict[str, Any], after: dict[str, Any],
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers,
) -> None:  # fmt: skip
    timer = Timer.objects.get(id=schedule_timer(request(before)).id)
    node.advance(1500)
    node.time.advance(300)  # what has come meanwhile is due, and not fired
    held = derived(timer)
    if by == "update":
        update_timer("work", NAME, payload=2, **after)
    else:
        schedule_timer(request(after, payload=2), on_conflict="replace")
    row, now_held = Timer.objects.get(id=timer.id), derived(timer)
    assert {**now_held, "schedule": held["schedule"]} == held
    for keyword in ("expression", "rule", "day_of_week"):
        if keyword in after:
            assert row.schedule[keyword].upper().split() == after[keyword].upper().split()


@pytest.mark.parametrize(("before", "after"), SPELLINGS, ids=ids)
def test_a_declared_timer_is_unchanged_by_another_spelling(
    before: dict[str, Any], after: dict[str, Any], group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    sync(before)
    node.advance(1500)
    timer = Timer.objects.get()
    held, entries = everything(timer), AuditEntry.objects.count()
    report = sync(after)
    assert (report.wrote, report.empty, report.unchanged) == (False, True, 1)
    assert {**everything(timer), "declared": held["declared"]} == held
    assert AuditEntry.objects.count() == entries


def test_a_declared_timer_in_another_spelling_keeps_what_was_edited_by_hand(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    sync({"expression": "0 9 * * mon"})
    update_timer("work", NAME, expression="0 10 * * mon")
    (kept,) = sync({"expression": "0 9 * * 1"}).kept
    assert [change.field for change in kept.changes] == ["schedule"]
    assert Timer.objects.get().schedule["expression"] == "0 10 * * mon"


def test_another_zone_is_told_without_its_rule(group: TimerGroup, handlers: TemporaryHandlers) -> None:
    sync({"expression": "0 9 * * mon"}, time_zone="Europe/Berlin")
    (entry,) = sync({"expression": "0 9 * * 1"}, time_zone="Europe/Busingen").updated
    assert [change.field for change in entry.changes] == ["time_zone"]
