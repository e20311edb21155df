from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.sessions import OtherSession, in_threads
from timers.control.declaration import CODE, Declaration, Declared
from timers.control.sync import EVENT, reconcile
from timers.control.sync_report import Entry, Reconciled
from timers.exceptions import InvalidRequest
from timers.models import Attempt, ClusterEvent, Timer, TimerGroup
from timers.scheduling import (
    cancel_timer,
    get_timer,
    pause_timer,
    resume_timer,
    schedule_fixed_rate,
    schedule_once,
    schedule_timer,
    update_timer,
)
from timers.testing import START, Stepper, VirtualTime

NIGHTLY = {"kind": "cron", "group": "work", "name": "nightly", "expression": "30 2 * * *", "time_zone": "Europe/Berlin"}
RATE = {"kind": "fixed_rate", "group": "work", "name": "rate", "period": 600}
NIGHT = timedelta(hours=13, minutes=30)  # from START to 02:30 in Berlin

pytestmark = pytest.mark.usefixtures("group")


def declared(*timers: dict[str, Any], source: str = CODE, groups: tuple[dict[str, Any], ...] = ()) -> Declared:
    return Declared(
        source,
        [Declaration(keywords, f"app.timer_handlers.{keywords.get('name')}") for keywords in timers],
        [Declaration(keywords, "app.timer_handlers") for keywords in groups],
    )


def names(entries: tuple[Entry, ...]) -> list[str]:
    return [str(entry) for entry in entries]


def sync(*timers: dict[str, Any], **more: Any) -> Reconciled:
    return reconcile(declared(*timers, **more))


def test_what_is_declared_is_created_and_a_second_time_there_is_nothing_to_do() -> None:
    first = sync(NIGHTLY, RATE)
    assert names(first.created) == ["work/nightly", "work/rate"]
    nightly = get_timer("work", "nightly")
    assert (nightly.source, nightly.declared, nightly.created_by) == (CODE, NIGHTLY, CODE)
    assert nightly.next_fire_at == START + NIGHT
    assert sync(NIGHTLY, RATE) == Reconciled(CODE, unchanged=2)


def test_a_rate_is_due_on_its_multiples_whenever_it_was_reconciled(time: VirtualTime) -> None:
    time.advance(61)
    sync(RATE)
    assert get_timer("work", "rate").next_fire_at == START + timedelta(minutes=10)


def test_the_same_said_otherwise_is_no_change() -> None:
    sync(RATE)
    timer = get_timer("work", "rate")
    assert sync({**RATE, "period": "PT10M"}) == Reconciled(CODE, unchanged=1)
    again = get_timer("work", "rate")
    assert (again.version, again.next_fire_at) == (timer.version, timer.next_fire_at)
    assert again.declared == {**RATE, "period": "PT10M"}


def test_durations_and_instants_of_python_are_kept_as_json() -> None:
    timers = {**RATE, "period": timedelta(minutes=10), "start_at": START + timedelta(days=1), "tags": ("a", "b")}
    sync(timers)
    assert get_timer("work", "rate").declared == {
        **RATE, "period": 600, "start_at": "2027-03-02T12:00:00Z", "tags": ["a", "b"],
    }  # fmt: skip
    assert sync(timers) == Reconciled(CODE, unchanged=1)


def test_what_is_declared_otherwise_is_updated_field_by_field() -> None:
    sync({**NIGHTLY, "payload": {"b": 1, "a": 2}, "tags": ["x"]})
    report = sync({**NIGHTLY, "payload": {"b": 1, "a": 3}, "tags": ["x"], "expression": "30 3 * * *", "jitter": 5})
    (entry,) = report.updated
    assert [str(change) for change in entry.changes] == [
        "schedule: at 02:30 every day, Europe/Berlin -> at 03:30 every day, Europe/Berlin",
        'payload: {"b":1,"a":2} -> {"b":1,"a":3}',
        "jitter: 0.0 -> 5.0",
    ]
    timer = get_timer("work", "nightly")
    assert (timer.payload, timer.jitter, timer.schedule["expression"]) == ({"b": 1, "a": 3}, 5.0, "30 3 * * *")
    assert timer.next_fire_at is not None
    assert timedelta(hours=14, minutes=30) <= timer.next_fire_at - START < timedelta(hours=14, minutes=30, seconds=5)


def test_a_change_repeats_no_fire_that_was_made(time: VirtualTime, node: Stepper) -> None:
    sync(RATE)
    time.advance(600)
    node.until_idle()
    sync({**RATE, "period": 300})
    assert get_timer("work", "rate").next_fire_at == START + timedelta(minutes=15)
    assert Attempt.objects.count() == 1


@pytest.mark.parametrize("change", [{"expression": "0 4 * * *"}, {"description": "new"}])
def test_a_persons_pause_stays_a_pause(change: dict[str, Any]) -> None:
    sync(NIGHTLY)
    pause_timer("work", "nightly", reason="stock-taking", actor="ann")
    report = sync({**NIGHTLY, **change})
    assert names(report.updated) == ["work/nightly"]
    timer = get_timer("work", "nightly")
    assert (timer.state, timer.state_reason, timer.state_changed_by) == ("paused", "stock-taking", "ann")


@pytest.mark.parametrize("how", ["update_timer", "on_conflict='replace'"])
def test_an_edit_by_hand_is_kept_and_told_while_its_declaration_stays(how: str) -> None:
    sync(NIGHTLY)
    if how == "update_timer":
        update_timer("work", "nightly", expression="0 5 * * *", actor="ann")
    else:
        schedule_timer({**NIGHTLY, "expression": "0 5 * * *"}, on_conflict="replace", actor="ann")
    report = sync({**NIGHTLY, "description": "new"})
    (kept,) = report.kept
    assert [str(change) for change in kept.changes] == [
        "schedule: at 02:30 every day, Europe/Berlin -> at 05:00 every day, Europe/Berlin (was edited by hand)"
    ]
    assert names(report.updated) == ["work/nightly"]
    timer = get_timer("work", "nightly")
    assert (timer.schedule["expression"], timer.description) == ("0 5 * * *", "new")


def test_an_edit_by_hand_is_overwritten_and_told_when_its_declaration_changes() -> None:
    sync({**NIGHTLY, "payload": 1})
    update_timer("work", "nightly", payload=2, actor="ann")
    (entry,) = sync({**NIGHTLY, "payload": 3}).updated
    assert [str(change) for change in entry.changes] == ["payload: 2 -> 3 (was edited by hand)"]
    assert get_timer("work", "nightly").payload == 3
    assert sync({**NIGHTLY, "payload": 3}) == Reconciled(CODE, unchanged=1)


def test_what_is_no_longer_declared_is_paused_and_told_once() -> None:
    sync(NIGHTLY, RATE)
    report = sync(RATE)
    assert names(report.paused) == ["work/nightly"]
    timer = get_timer("work", "nightly")
    assert (timer.state, timer.state_reason) == ("paused", "no longer declared in code")
    assert sync(RATE) == Reconciled(CODE, unchanged=1)


def test_what_is_declared_again_goes_on_from_now(time: VirtualTime, node: Stepper) -> None:
    sync({**NIGHTLY, "overrides": {"misfire_policy": "fire_all"}})
    sync()
    time.advance(days=10)
    report = sync({**NIGHTLY, "overrides": {"misfire_policy": "fire_all"}})
    assert names(report.resumed) == ["work/nightly"]
    node.until_idle()
    assert not Attempt.objects.exists()
    assert get_timer("work", "nightly").next_fire_at == time.now + NIGHT


def test_a_person_may_resume_what_is_no_longer_declared() -> None:
    sync(NIGHTLY)
    sync()
    resume_timer("work", "nightly", actor="ann")
    report = sync()
    assert names(report.kept) == ["work/nightly"]
    assert get_timer("work", "nightly").state == "active"


def test_a_persons_pause_is_not_ended_when_the_timer_is_declared_again() -> None:
    sync(NIGHTLY)
    pause_timer("work", "nightly", reason="stock-taking")
    assert sync() == Reconciled(CODE)
    assert sync(NIGHTLY) == Reconciled(CODE, unchanged=1)
    assert get_timer("work", "nightly").state_reason == "stock-taking"


def test_a_timer_that_a_person_cancelled_stays_cancelled() -> None:
    sync(NIGHTLY)
    cancel_timer("work", "nightly", actor="ann")
    (kept,) = sync({**NIGHTLY, "description": "new"}).kept
    assert "cancelled by ann" in kept.why
    # Taken out of the declarations and put in again, it is a new timer.
    sync()
    assert names(sync(NIGHTLY).created) == ["work/nightly"]
    assert Timer.objects.filter(name="nightly").count() == 2


def test_a_one_shot_fires_once_however_often_it_is_declared(time: VirtualTime, node: Stepper) -> None:
    once = {"kind": "once", "group": "work", "name": "once", "at": START + timedelta(seconds=5)}
    sync(once)
    time.advance(5)
    node.until_idle()
    assert sync(once) == Reconciled(CODE, unchanged=1)
    time.advance(days=1)
    assert not node.until_idle()
    # A new instant is a new fire.
    sync({**once, "at": START + timedelta(days=2)})
    time.advance(days=1)
    assert len(node.until_idle()) == 1


def test_a_raised_max_fires_lets_a_finished_timer_go_on(time: VirtualTime, node: Stepper) -> None:
    sync({**RATE, "max_fires": 2})
    node.play(1800, every=600)
    assert get_timer("work", "rate").state == "finished"
    sync({**RATE, "max_fires": 3})
    node.play(3000, every=600)
    assert (get_timer("work", "rate").fire_count, Attempt.objects.count()) == (3, 3)


@pytest.mark.parametrize(
    "over",
    [
        {"kind": "once", "group": "work", "name": "over", "at": START - timedelta(hours=1)},
        {**NIGHTLY, "name": "over", "end_at": START - timedelta(days=1)},
        {**NIGHTLY, "name": "over", "end_at": START + timedelta(hours=1)},
    ],
)
def test_what_is_over_before_it_was_ever_declared_is_not_made(over: dict[str, Any]) -> None:
    report = sync(over)
    assert (names(report.over), report.empty) == (["work/over"], True)
    assert not Timer.objects.exists()


def test_a_name_that_belongs_to_another_timer_is_a_conflict_and_left_alone() -> None:
    schedule_fixed_rate("work", "rate", period=7)
    sync(NIGHTLY, source="file:a.yaml")
    report = sync(NIGHTLY, RATE, {**RATE, "name": "free"})
    assert {entry.name: entry.why for entry in report.conflicts} == {
        "nightly": "a timer of that name exists, which is declared in file:a.yaml",
        "rate": "a timer of that name exists, which was not made from a declaration",
    }
    assert names(report.created) == ["work/free"]
    assert get_timer("work", "rate").schedule["period"] == 7


def test_the_name_of_an_ended_timer_is_free() -> None:
    schedule_once("work", "rate", after=60)
    cancel_timer("work", "rate")
    assert names(sync(RATE).created) == ["work/rate"]


def test_sources_leave_each_others_timers_alone() -> None:
    sync(NIGHTLY, source="file:a.yaml")
    assert sync(RATE, source="file:b.yaml").paused == ()
    assert get_timer("work", "nightly").state == "active"


def test_a_group_is_created_with_its_policies_and_an_existing_one_left_as_it_is() -> None:
    group = {"name": "reports", "retry": {"max_retries": 3}, "priority": 5}
    in_group = {**RATE, "group": "reports", "handler": "tests.noop"}
    assert names(sync(in_group, groups=(group,)).created) == ["group reports", "reports/rate"]
    assert TimerGroup.objects.get(name="reports").priority == 5
    (kept,) = sync(in_group, groups=({**group, "priority": 7},)).kept
    assert [str(change) for change in kept.changes] == ["priority: 7 -> 5"]


def test_timers_of_handlers_that_only_other_nodes_know_are_left_to_them(handlers: TemporaryHandlers) -> None:
    handlers.add("tests.elsewhere")
    sync({**RATE, "handler": "tests.elsewhere"})
    handlers.forget()
    factories.node("other", handlers=["tests.elsewhere"])
    (kept,) = sync().kept
    assert "only other living nodes know its handler" in kept.why
    assert get_timer("work", "rate").state == "active"


def test_a_dry_run_reports_the_same_and_writes_nothing() -> None:
    sync(NIGHTLY)
    before = list(Timer.objects.values())
    events = ClusterEvent.objects.count()
    wanted = declared({**RATE, "group": "new"}, groups=({"name": "new", "action": {"handler": "tests.noop"}},))
    rehearsed = reconcile(wanted, dry_run=True)
    assert list(Timer.objects.values()) == before
    assert (ClusterEvent.objects.count(), TimerGroup.objects.filter(name="new").exists()) == (events, False)
    assert reconcile(wanted) == rehearsed


def test_what_is_done_is_one_event_and_what_is_left_alone_is_told_once() -> None:
    reconcile(declared(NIGHTLY), node="node-a")
    schedule_fixed_rate("work", "rate", period=7)
    for node in ("node-a", "node-b"):
        reconcile(declared(NIGHTLY, RATE), node=node)
    assert list(ClusterEvent.objects.filter(kind=EVENT).order_by("id").values_list("node", "detail")) == [
        ("node-a", "code: 1 created (work/nightly), 0 unchanged"),
        ("node-a", "code: 1 in conflict (work/rate), 1 unchanged"),
    ]


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"period": 0}, "period", "must be between"),
        ({"colour": "red"}, "colour", "is not known"),
        ({"group": "wrok"}, "group", "did you mean work?"),
        ({"handler": "tests.nop"}, "handler", "did you mean tests.noop?"),
        ({"overrides": {"retry": {"max_retries": -1}}}, "overrides.retry.max_retries", "must be a whole number"),
        ({"kind": "once", "period": None, "after": 5}, "after", "give at"),
        ({"kind": "rrule", "rule": "FREQ=DAILY"}, "start_at", "is missing"),
        ({"max_fires": 3, "overrides": {"on_finish": "delete"}}, "overrides.on_finish", 'must be "keep"'),
        ({"name": None}, "name", "must be text"),
    ],
)
def test_what_makes_no_sense_is_refused_by_field_and_place_and_nothing_is_written(
    wrong: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        sync(NIGHTLY, {**RATE, **wrong})
    problems = {problem.field: problem.message for problem in refused.value.problems}
    assert words in problems[field]
    assert "app.timer_handlers." in problems[field]
    assert not Timer.objects.exists()


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        sync({**RATE, "period": 0}, {**NIGHTLY, "expression": "61 * * * *", "tags": 5}, RATE, RATE)
    assert [problem.field for problem in refused.value.problems] == ["period", "expression", "tags", "name"]


def test_a_wrong_change_leaves_everything_as_it_was() -> None:
    sync(NIGHTLY, RATE)
    with pytest.raises(InvalidRequest) as refused:
        sync({**NIGHTLY, "end_at": START - timedelta(days=1)}, {**RATE, "period": 60})
    assert "app.timer_handlers.nightly" in str(refused.value)
    assert get_timer("work", "rate").schedule["period"] == 600


def test_a_declaration_that_was_spoilt_by_hand_is_taken_for_none() -> None:
    sync(NIGHTLY, RATE)
    Timer.objects.filter(name="rate").update(declared=["no", "declaration"])
    Timer.objects.filter(name="nightly").update(declared={"kind": "gone"})
    assert sync(NIGHTLY, RATE) == Reconciled(CODE, unchanged=2)
    assert get_timer("work", "rate").declared == RATE


def test_two_nodes_at_once_make_one_set_of_timers_and_one_report(committed: None, time: VirtualTime) -> None:
    with OtherSession(time.now) as session:
        session.begin()
        first = session.run(lambda: reconcile(declared(NIGHTLY, RATE), node="node-a"))
        with OtherSession(time.now) as second:
            waiting = second.start(lambda: reconcile(declared(NIGHTLY, RATE), node="node-b"))
            second.waits_for_a_lock()
            session.commit()
            assert waiting.result(timeout=20) == Reconciled(CODE, unchanged=2)
    assert names(first.created) == ["work/nightly", "work/rate"]
    assert ClusterEvent.objects.filter(kind=EVENT).count() == 1


def test_eight_nodes_at_once_make_each_timer_once(committed: None) -> None:
    wanted = [{**RATE, "name": f"rate-{number}"} for number in range(50)]
    reports = in_threads(8, lambda number: reconcile(declared(*wanted), node=f"node-{number}"))
    assert sorted(len(report.created) for report in reports if isinstance(report, Reconciled)) == [0] * 7 + [50]
    assert Timer.objects.count() == 50
    assert ClusterEvent.objects.filter(kind=EVENT).count() == 1
